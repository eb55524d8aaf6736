// An answer as it is made, and beside what it was made of when it is there.

import { ask, download, forget, urlOf, watched } from "./api.js";
import { at, bytesSaid, rate, secondsSaid, sizeSaid, tell, telling } from "./dom.js";
import { makeScreen } from "./screen.js";
import { VERBS } from "./verbs.js";

/** shown: called with the view that is to be seen; further: called with what was made. */
export function makeAnswer({ shown, further }) {
  const screen = makeScreen(at("answer-screen"), { name: "The answer" });
  let video = null, film = null, stop = null, began = 0, urls = [];

  at("pause").addEventListener("click", async () => {
    const now = await telling(ask("POST", `/v1/videos/${video.id}/${video.paused ? "resume" : "pause"}`));
    if (now) told({ ...now, frame: 0 });
  });
  at("cancel").addEventListener("click", () => telling(ask("POST", `/v1/videos/${video.id}/cancel`)));
  at("download").addEventListener("click", () => telling(download(video)));
  at("further").addEventListener("click", () => telling(further(video)));

  function clear() {
    stop?.();
    stop = null;
    video = null;
    drop();
  }

  function drop() {
    for (const url of urls) forget(url);
    urls = [];
  }

  /** Follows a run. given: the film that it is about, or nothing. */
  function follow(asked, given) {
    clear();
    [video, film, began] = [asked, given, performance.now()];
    at("live-none").hidden = false;
    const tools = at("live").getContext("2d");
    const [wide, high] = asked.size.split("x").map(Number);
    [at("live").width, at("live").height] = [wide, high];
    at("live").parentElement.style.setProperty("--ratio", wide / high);
    tools.clearRect(0, 0, wide, high);
    told({ ...asked, frame: 0 });
    shown("live");
    stop = watched(asked.id, told, draw, () => over(asked.id));
  }

  function told(now) {
    Object.assign(video, { status: now.status, paused: now.paused });
    at("progress").value = now.progress;
    at("pause").textContent = now.paused ? "Go on" : "Pause";
    const took = secondsSaid((performance.now() - began) / 1000);
    const said = now.paused ? "paused" : now.status === "queued" ? "waiting" : `${now.progress} %`;
    at("progress-said").textContent = `${said} · ${now.frames_done} of ${now.frames_total ?? "?"} frames · ${took}`;
  }

  async function draw(jpeg) {
    const picture = await createImageBitmap(jpeg);
    at("live-none").hidden = true;
    at("live").getContext("2d").drawImage(picture, 0, 0, at("live").width, at("live").height);
    picture.close();
  }

  async function over(id) {
    if (video?.id !== id) return;
    stop = null;
    const now = await telling(ask("GET", `/v1/videos/${id}`));
    if (!now || video?.id !== id) return;
    if (now.status === "completed") await telling(showOver(now, film));
    else if (now.status === "failed") fail(now);
    else stop = watched(id, told, draw, () => over(id));
  }

  function fail(now) {
    video = null;
    shown("film");
    tell(now.error?.code === "cancelled" ? "Cancelled." : now.error?.message || "It failed.", now.error?.code !== "cancelled");
  }

  /** Shows a film that is made. given: what it is of. */
  async function showOver(made, given) {
    stop?.();
    drop();
    [video, film, stop] = [made, given, null];
    const url = await urlOf(`/v1/videos/${made.id}/content`, made.bytes, "video/mp4");
    const stillUrl = await urlOf(`/v1/videos/${made.id}/content?variant=thumbnail`).catch(() => "");
    urls = [url, stillUrl];
    const fps = rate(made.fps), [width, height] = made.size.split("x").map(Number);
    screen.load({ url, stillUrl, frames: Math.round(Number(made.seconds) * fps), fps, width, height, before: beforeOf(made, given) });
    at("answer-screen").classList.toggle("wider", made.task === "outpaint");
    at("answer-said").textContent = `${made.task} · ${sizeSaid(made.size)} · ${Number(Number(made.seconds).toFixed(2))} s · ${bytesSaid(made.bytes)} · made in ${secondsSaid(made.estimated_seconds || 0)}`;
    shown("answer");
  }

  function beforeOf(made, given) {
    const { at: moment } = VERBS[made.task];
    if (!given || !moment) return null;
    const { stillUrl, isStill, rate: fps, num_frames: frames } = given;
    return { url: isStill ? stillUrl : given.url, stillUrl, isStill, fps, frames, at: (time) => moment(time, made, given) };
  }

  return { screen, clear, follow, showOver, has: () => video !== null, isOver: () => video?.status === "completed" };
}
