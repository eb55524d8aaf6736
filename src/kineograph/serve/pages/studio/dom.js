// Elements, and how numbers are told.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

/** An element with attributes, listeners (onclick: ...) and children; null and false are left out. */
export function make(tag, about = {}, ...children) {
  return filled(document.createElement(tag), about, children);
}

export function drawing(tag, about = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), about, children);
}

function filled(made, about, children) {
  for (const [key, value] of Object.entries(about)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

export function button(text, onclick, about = {}) {
  return make("button", { type: "button", onclick, ...about }, text);
}

/** Says something once, for eyes and for screen readers. */
export function tell(text, isBad = false) {
  const place = at("notice");
  place.textContent = text;
  place.classList.toggle("bad", isBad);
  place.hidden = !text;
  clearTimeout(tell.timer);
  if (text && !isBad) tell.timer = setTimeout(() => tell(""), 6000);
}

/** A promise whose failure is told. */
export async function telling(promise) {
  try {
    return await promise;
  } catch (error) {
    tell(error.message, true);
    return null;
  }
}

export function secondsSaid(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function bytesSaid(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} KB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export const sizeSaid = (size) => size.replace("x", " × ");

export function whenSaid(unix) {
  const then = new Date(unix * 1000);
  const isToday = then.toDateString() === new Date().toDateString();
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday ? `today, ${time}` : `${then.toLocaleDateString()}, ${time}`;
}

/** A fraction such as 24000/1001 as a number. */
export function rate(text) {
  const [above, below] = String(text).split("/");
  return Number(above) / Number(below || 1);
}

export function confirmed(question, does) {
  const dialog = make("dialog", { "aria-label": question }, make("p", {}, question));
  return new Promise((answer) => {
    const end = (value) => { dialog.close(); dialog.remove(); answer(value); };
    dialog.append(make("div", { class: "row end" }, button("Keep", () => end(false)), button(does, () => end(true), { class: "main" })));
    dialog.addEventListener("cancel", () => end(false));
    document.body.append(dialog);
    dialog.showModal();
  });
}
