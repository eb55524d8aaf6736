// The server is asked here, and nobody else is.

const KEY = "kineo-token";
const MOST_IN_MEMORY = 200e6; // films that are larger are played from the server

/** The token comes after the # of the address, is kept by this tab, and leaves the address. */
export function takeToken() {
  const said = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!said) return false;
  sessionStorage.setItem(KEY, said);
  history.replaceState(null, "", location.pathname);
  return true;
}

export const token = () => sessionStorage.getItem(KEY) || "";

export class Refused extends Error {
  constructor(status, told) {
    super(told?.message || `The server answered ${status}.`);
    this.status = status;
    this.param = told?.param || null;
  }
}

function headers() {
  return { Authorization: `Bearer ${token()}` };
}

async function answered(method, path, body) {
  const about = { method, headers: headers() };
  if (body !== undefined) {
    about.body = JSON.stringify(body);
    about.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, about);
  } catch {
    throw new Error("The studio's server does not answer: is it still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  if (answer.status === 401) throw new Refused(401, { message: "This tab has no valid token: open the address that kineo studio printed." });
  throw new Refused(answer.status, told?.error);
}

export async function ask(method, path, body) {
  return (await answered(method, path, body)).json();
}

export async function blobOf(path) {
  return (await answered("GET", path)).blob();
}

/** Where a film or picture can be shown from; `forget` it when it is no longer shown. */
export async function urlOf(path, bytes = 0, kind = "") {
  if (bytes > MOST_IN_MEMORY) return `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token())}`;
  const found = await blobOf(path);
  return URL.createObjectURL(kind ? new Blob([found], { type: kind }) : found);
}

export function forget(url) {
  if (url && url.startsWith("blob:")) URL.revokeObjectURL(url);
}

/** Uploads a film or picture; `heard` gets the share that is sent. */
export function upload(file, heard = () => {}) {
  const form = new FormData();
  form.append("file", file, "film");
  const sending = new XMLHttpRequest();
  return new Promise((keep, fail) => {
    sending.upload.onprogress = (event) => heard(event.total ? event.loaded / event.total : 0);
    sending.onerror = () => fail(new Error("The upload broke off: is the server still running?"));
    sending.onload = () => {
      let told = null;
      try { told = JSON.parse(sending.responseText); } catch { /* said below */ }
      if (sending.status === 200) keep(told);
      else fail(new Refused(sending.status, told?.error));
    };
    sending.open("POST", "/v1/files");
    sending.setRequestHeader("Authorization", `Bearer ${token()}`);
    sending.send(form);
  });
}

/** Hears a film as it is made: what is told of it, and its newest frame. Returns how to stop. */
export function watched(id, told, frame, over) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/v1/videos/${id}/preview?token=${encodeURIComponent(token())}`);
  socket.binaryType = "blob";
  socket.onmessage = (event) => (typeof event.data === "string" ? told(JSON.parse(event.data)) : frame(event.data));
  socket.onclose = () => over();
  return () => { socket.onclose = null; socket.close(); };
}

/** Hands a film to the browser's downloads. */
export async function download(video) {
  const url = await urlOf(`/v1/videos/${video.id}/content`, video.bytes || 0, "video/mp4");
  const link = document.createElement("a");
  link.href = url;
  link.download = `kineo-${video.task}-${video.id.slice(-6)}.mp4`;
  link.click();
  setTimeout(() => forget(url), 60000);
}
