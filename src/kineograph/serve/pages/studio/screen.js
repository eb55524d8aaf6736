// A film on a screen: played, stepped frame by frame, zoomed, and parted from what it was made of.

import { button, make } from "./dom.js";

const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const NEAR_PX = 28; // so near to the divider a pointer takes hold of it
const LATE_FRAMES = 1.2; // what is beside may be so far off before it is set right

/** A screen in `place`. heard: called with the number of the frame that is shown. */
export function makeScreen(place, { name, heard = () => {} }) {
  const film = make("video", { playsinline: true, preload: "auto", tabindex: -1, "aria-label": name });
  const still = make("img", { alt: name, hidden: true });
  const beside = make("video", { playsinline: true, preload: "auto", tabindex: -1, "aria-label": "As it was given" });
  const besideStill = make("img", { alt: "As it was given", hidden: true });
  film.muted = beside.muted = true;
  film.muted = false;
  const line = make("div", { class: "line", "aria-hidden": "true" });
  const clip = make("div", { class: "clip" }, beside, besideStill);
  const layer = make("div", { class: "layer" });
  const inner = make("div", { class: "inner" }, film, still, clip, layer, line);
  const tags = make("div", { class: "tags", "aria-hidden": "true" }, make("span", {}, "before"), make("span", {}, "after"));
  const view = make("div", { class: "screen" }, inner, tags);

  const play = button("Play", () => toggle(), { class: "play", "aria-keyshortcuts": "Space" });
  const back = button("◂", () => step(-1), { "aria-label": "One frame back", "aria-keyshortcuts": "ArrowLeft" });
  const on = button("▸", () => step(1), { "aria-label": "One frame on", "aria-keyshortcuts": "ArrowRight" });
  const scrub = make("input", { type: "range", class: "scrub", min: 0, max: 0, step: 1, value: 0, "aria-label": `Frame of ${name.toLowerCase()}`, oninput: () => { pause(); go(Number(scrub.value)); } });
  const where = make("output", { class: "where" }, "–");
  const split = make("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, "aria-label": "How much is shown as it was before", oninput: () => part(Number(split.value)) });
  const parting = make("div", { class: "row parting", hidden: true }, make("span", { "aria-hidden": "true" }, "Before"), split, make("span", { "aria-hidden": "true" }, "After"));
  const zoomSaid = make("output", { class: "zoomed", "aria-label": "Zoom" }, "fit");
  const zooming = make("div", { class: "row tight zoom", role: "group", "aria-label": "Zoom" },
    button("−", () => zoomBy(-1), { "aria-label": "Zoom out", "aria-keyshortcuts": "-" }), zoomSaid,
    button("+", () => zoomBy(1), { "aria-label": "Zoom in", "aria-keyshortcuts": "+" }));
  const controls = make("div", { class: "row transport" }, make("div", { class: "row tight" }, back, play, on), scrub, where, zooming);
  place.append(view, parting, controls);

  let about = { frames: 1, fps: 24, before: null, isStill: false };
  let number = 0, zoom = 1, shiftX = 0, shiftY = 0, share = 50, isPlaying = false;

  /** Shows a film, or a picture; before: {url, isStill, at, fps, frames} of what it was made of. */
  function load({ url, stillUrl = "", isStill = false, frames, fps, width, height, before = null }) {
    pause();
    about = { frames, fps, before, isStill };
    number = 0;
    view.style.setProperty("--ratio", width / height);
    view.style.setProperty("--width", width);
    show(film, still, isStill ? "" : url, isStill ? url : "");
    film.onerror = () => { if (!isStill) { show(film, still, "", stillUrl); view.classList.add("unplayable"); } };
    view.classList.remove("unplayable");
    show(beside, besideStill, before && !before.isStill ? before.url : "", before?.isStill ? before.url : "");
    beside.onerror = () => { if (before?.stillUrl) show(beside, besideStill, "", before.stillUrl); };
    clip.hidden = line.hidden = tags.hidden = parting.hidden = !before;
    scrub.max = Math.max(0, frames - 1);
    controls.hidden = false;
    for (const one of [back, play, on, scrub]) one.disabled = isStill || frames < 2;
    zoomTo(1);
    part(50);
    split.value = 50;
    film.onloadeddata = () => go(number);
    beside.onloadeddata = () => follow(true);
    told();
  }

  function show(moving, standing, url, picture) {
    moving.hidden = !url;
    standing.hidden = !picture;
    if (url) moving.src = url; else moving.removeAttribute("src");
    if (picture) standing.src = picture; else standing.removeAttribute("src");
    if (!url) moving.load();
  }

  function told() {
    scrub.value = number;
    const seconds = number / about.fps;
    where.replaceChildren(...(about.isStill ? ["a picture"] : [`${number} / ${about.frames - 1}`, make("span", {}, ` · ${seconds.toFixed(2)} s`)]));
    scrub.setAttribute("aria-valuetext", `frame ${number} of ${about.frames}`);
    heard(number);
  }

  function go(frame) {
    number = Math.max(0, Math.min(about.frames - 1, frame));
    if (!film.hidden) film.currentTime = (number + 0.5) / about.fps;
    follow(true);
    told();
  }

  function step(by) { pause(); go(number + by); }

  /** What is beside shows the moment that this one was made of. */
  function follow(isExact) {
    if (!about.before || beside.hidden || !beside.duration) return;
    const { at, fps, frames } = about.before;
    const wanted = Math.max(0, Math.min((frames - 0.5) / fps, at((number + 0.5) / about.fps)));
    if (isExact || Math.abs(beside.currentTime - wanted) > LATE_FRAMES / fps) beside.currentTime = wanted;
  }

  async function toggle() {
    if (film.hidden || about.isStill) return;
    if (isPlaying) { pause(); go(number); return; }
    if (number >= about.frames - 1) go(0);
    isPlaying = true;
    play.textContent = "Pause";
    try { await film.play(); } catch { pause(); return; }
    if (about.before && !beside.hidden) {
      beside.playbackRate = paceBeside();
      beside.play().catch(() => {});
    }
    watch();
  }

  function paceBeside() {
    const { at } = about.before;
    return Math.max(0.0625, Math.min(16, at(1) - at(0) || 1));
  }

  function watch() {
    const seen = (_, frame) => {
      if (!isPlaying) return;
      number = Math.min(about.frames - 1, Math.round(frame.mediaTime * about.fps));
      follow(false);
      told();
      film.requestVideoFrameCallback(seen);
    };
    film.requestVideoFrameCallback(seen);
  }

  function pause() {
    isPlaying = false;
    play.textContent = "Play";
    film.pause();
    beside.pause();
  }
  film.onended = () => { pause(); go(about.frames - 1); };

  function part(percent) {
    share = Math.max(0, Math.min(100, percent));
    view.style.setProperty("--split", `${share}%`);
    split.setAttribute("aria-valuetext", `${Math.round(share)} per cent before`);
  }

  function zoomTo(value) {
    zoom = value;
    zoomSaid.textContent = zoom === 1 ? "fit" : `${zoom} ×`;
    view.classList.toggle("pixels", zoom > 2);
    shift(zoom === 1 ? 0 : shiftX, zoom === 1 ? 0 : shiftY);
  }

  function zoomBy(by) {
    const index = ZOOMS.indexOf(zoom) + by;
    if (index >= 0 && index < ZOOMS.length) zoomTo(ZOOMS[index]);
  }

  function shift(x, y) {
    const most = (zoom - 1) / 2;
    shiftX = Math.max(-most, Math.min(most, x));
    shiftY = Math.max(-most, Math.min(most, y));
    view.style.setProperty("--zoom", zoom);
    view.style.setProperty("--x", `${shiftX * 100}%`);
    view.style.setProperty("--y", `${shiftY * 100}%`);
  }

  view.addEventListener("pointerdown", (event) => {
    if (layer.classList.contains("painting") || event.button !== 0) return;
    const box = inner.getBoundingClientRect();
    const isNear = Math.abs(event.clientX - box.left - (share / 100) * box.width) < NEAR_PX;
    const isParting = about.before && (zoom === 1 || isNear);
    if (!isParting && zoom === 1) return;
    view.setPointerCapture(event.pointerId);
    event.preventDefault();
    const from = { x: event.clientX, y: event.clientY, shiftX, shiftY };
    const size = view.getBoundingClientRect();
    const move = (now) => {
      if (isParting) { part(((now.clientX - box.left) / box.width) * 100); split.value = share; }
      else shift(from.shiftX + (now.clientX - from.x) / size.width, from.shiftY + (now.clientY - from.y) / size.height);
    };
    if (isParting) move(event);
    view.addEventListener("pointermove", move);
    const end = () => view.removeEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) view.addEventListener(kind, end, { once: true });
  });

  /** Whether a key did something here. */
  function key(event) {
    const does = { " ": toggle, ArrowLeft: () => step(-1), ArrowRight: () => step(1), ",": () => step(-1), ".": () => step(1), Home: () => step(-about.frames), End: () => step(about.frames), "+": () => zoomBy(1), "=": () => zoomBy(1), "-": () => zoomBy(-1), 0: () => zoomTo(1) }[event.key];
    if (!does) return false;
    if (event.key.startsWith("Arrow") && event.shiftKey) step(event.key === "ArrowLeft" ? -10 : 10);
    else does();
    return true;
  }

  return { load, pause, step, go, key, toggle, layer, view, frame: () => number, film, beside };
}
