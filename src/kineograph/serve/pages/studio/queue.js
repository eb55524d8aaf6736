// What waits and what runs: paused, cancelled, put in another order.

import { ask } from "./api.js";
import { at, button, make, secondsSaid, sizeSaid, telling } from "./dom.js";
import { VERBS, recipeOf } from "./verbs.js";

const SOON_MS = 700, LATER_MS = 4000;
let isShown = false, timer = 0, last = "";

export function begin() {
  look();
}

export function entered() {
  isShown = true;
  last = "";
  look();
}

export function left() {
  isShown = false;
}

async function look() {
  clearTimeout(timer);
  const found = await ask("GET", "/v1/queue").catch(() => null);
  if (found) {
    at("queued").hidden = !found.data.length;
    at("queued").textContent = found.data.length;
    at("queued").setAttribute("aria-label", `, ${found.data.length} in hand`);
    if (isShown) show(found.data);
  }
  timer = setTimeout(look, isShown || found?.data.length ? SOON_MS : LATER_MS);
}

function show(videos) {
  at("queue-none").hidden = videos.length > 0;
  const now = JSON.stringify(videos);
  if (now === last) return;
  last = now;
  const focused = document.activeElement?.dataset.does;
  const waiting = videos.filter((one) => one.status === "queued");
  at("queue").replaceChildren(...videos.map((one) => row(one, waiting)));
  if (focused) document.querySelector(`[data-does="${focused}"]`)?.focus();
}

function row(video, waiting) {
  const place = waiting.findIndex((one) => one.id === video.id);
  const does = (name, path, body) => async () => { await telling(ask("POST", `/v1/videos/${video.id}/${path}`, body)); last = ""; look(); };
  const control = (text, path, body, more = {}) => button(text, does(text, path, body), { "data-does": `${video.id} ${text}`, class: "small", "aria-label": `${text}: ${title(video)}`, ...more });
  const controls = [];
  if (waiting.length > 1 && place >= 0) {
    const up = place > 1 ? { before: waiting[place - 1].id } : { to: "front" };
    const down = place + 2 < waiting.length ? { before: waiting[place + 2].id } : { to: "back" };
    controls.push(control("Sooner", "move", up, { disabled: place === 0 }), control("Later", "move", down, { disabled: place === waiting.length - 1 }));
  }
  controls.push(control(video.paused ? "Go on" : "Pause", video.paused ? "resume" : "pause"), control("Cancel", "cancel"));
  return make("li", {},
    make("div", { class: "grow" }, make("h3", {}, title(video)), make("p", { class: "quiet" }, recipeOf(video)),
      video.status === "in_progress" && make("progress", { max: 100, value: video.progress, "aria-label": `Progress of ${title(video)}` }),
      make("p", { class: "state" }, stateOf(video, place))),
    make("div", { class: "row tight" }, controls));
}

const title = (video) => `${VERBS[video.task]?.says || video.task}, ${sizeSaid(video.size)}, ${Number(Number(video.seconds).toFixed(2))} s`;

function stateOf(video, place) {
  const left = video.estimated_seconds === null ? "" : ` · about ${secondsSaid(video.estimated_seconds)}`;
  if (video.paused) return `paused at ${video.progress} %`;
  if (video.status === "queued") return (place === 0 ? "next" : `${place} before it`) + left;
  return `${video.progress} % · ${video.frames_done} of ${video.frames_total ?? "?"} frames${left}`;
}
