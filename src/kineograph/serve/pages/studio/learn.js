// Footage is learned: dropped here, then watched as the held-out curve and the samples grow.

import { ask, forget, upload, urlOf } from "./api.js";
import { at, button, confirmed, drawing, make, tell, telling, whenSaid } from "./dom.js";
import { useModel } from "./work.js";

const EVERY_MS = 2000;
const HEIGHT = 220, LEFT = 44, BELOW = 28, ABOVE = 12;
const STATES = { running: "learning", completed: "learned", stopped: "stopped", failed: "ended without a model" };
let films = [], isShown = false, timer = 0, chosen = null, last = "", drawn = "", urls = [];

export function begin() {
  at("learn-choose").addEventListener("click", () => at("learn-file").click());
  at("learn-file").addEventListener("change", () => { take([...at("learn-file").files]); at("learn-file").value = ""; });
  const page = at("page-learn");
  page.addEventListener("dragover", (event) => { event.preventDefault(); page.classList.add("over"); });
  page.addEventListener("dragleave", (event) => { if (!page.contains(event.relatedTarget)) page.classList.remove("over"); });
  page.addEventListener("drop", (event) => { event.preventDefault(); page.classList.remove("over"); take([...event.dataTransfer.files]); });
  at("learn").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  at("learn-name").addEventListener("input", ready);
  addEventListener("resize", () => { last = ""; }); // the next look draws the curve as wide as it may be
}

export function entered() {
  isShown = true;
  last = drawn = "";
  look();
}

export function left() {
  isShown = false;
  clearTimeout(timer);
}

async function take(files) {
  for (const file of files) {
    tell(`Uploading ${file.name} …`);
    const found = await telling(upload(file, (share) => tell(`Uploading ${file.name}: ${Math.round(100 * share)} %`)));
    if (!found) return;
    tell("");
    films.push({ ...found, name: file.name });
    if (!at("learn-name").value) at("learn-name").value = file.name.replace(/\.\w+$/, "").toLowerCase().replace(/[^a-z0-9_-]+/g, "-").replace(/^[^a-z0-9]+/, "").slice(0, 40);
    showFilms();
  }
}

function showFilms() {
  at("learn-films").replaceChildren(...films.map((film) => make("li", { class: "row apart" },
    make("span", {}, `${film.name} · ${film.width}\u00a0×\u00a0${film.height} · ${film.seconds.toFixed(1)}\u00a0s`),
    button("Leave out", () => { films = films.filter((one) => one !== film); showFilms(); }, { class: "small", "aria-label": `Leave out ${film.name}` }))));
  ready();
}

function ready() {
  at("learn-run").disabled = !films.length || !at("learn-name").value;
}

async function run() {
  if (at("learn-run").disabled) return;
  at("learn-run").disabled = true;
  at("learn-wrong").hidden = true;
  const asked = { name: at("learn-name").value, task: at("learn-task").value, minutes: Number(at("learn-minutes").value), files: films.map((film) => film.id) };
  try {
    chosen = (await ask("POST", "/v1/learnings", asked)).name;
    films = [];
    at("learn-name").value = "";
    showFilms();
  } catch (error) {
    at("learn-wrong").textContent = error.message;
    at("learn-wrong").hidden = false;
  }
  ready();
  look();
}

async function remove(name) {
  if (!(await confirmed(`${name} will be gone for good.`, "Remove"))) return;
  await telling(ask("DELETE", `/v1/learnings/${name}`));
  look();
}

async function stop(name) {
  await telling(ask("POST", `/v1/learnings/${name}/stop`));
  tell(`${name} ends with the step at hand; then it is measured and kept.`);
  look();
}

async function look() {
  clearTimeout(timer);
  const found = await telling(ask("GET", "/v1/learnings"));
  if (found && isShown) {
    chosen = found.data.some((one) => one.name === chosen) ? chosen : found.data[0]?.name;
    const now = chosen ? await telling(ask("GET", `/v1/learnings/${chosen}`)) : null;
    await show(found.data, now);
  }
  if (isShown) timer = setTimeout(look, EVERY_MS);
}

async function show(all, now) {
  const key = JSON.stringify([all, now]);
  if (key === last) return;
  last = key;
  if (!now) {
    at("learned").replaceChildren(make("p", { class: "none" }, "A model that has learned your footage answers about films like it better than the shipped one. Nothing was learned here yet."));
    return;
  }
  const others = all.length > 1 && make("div", { class: "field" }, make("label", { for: "learned-which" }, "Which"),
    make("select", { id: "learned-which", onchange: (event) => { chosen = event.target.value; last = drawn = ""; look(); } },
      all.map((one) => make("option", { value: one.name, selected: one.name === now.name }, `${one.name}: ${STATES[one.status]}, ${whenSaid(one.created_at)}`))));
  const strips = await stripsOf(now);
  at("learned").replaceChildren(...[others, head(now), curve(now), strips, said(now)].filter(Boolean));
}

function head(now) {
  const share = now.steps_total ? Math.min(100, (100 * now.steps) / now.steps_total) : null;
  return make("div", { class: "learn-head" },
    make("div", { class: "row apart" }, make("h3", {}, now.name, make("span", { class: `tag ${now.status}` }, STATES[now.status])),
      now.status === "running" && button("Stop, and keep the best", () => stop(now.name), { class: "small" }),
      now.status !== "running" && make("div", { class: "row tight" },
        now.status === "completed" && button("Work with it", () => telling(useModel(now.name)), { class: "small" }),
        button("Remove", () => remove(now.name), { class: "small", "aria-label": `Remove ${now.name}` }))),
    make("p", { class: "quiet" }, `${at("learn-task").querySelector(`[value=${now.task}]`).textContent} · ${now.films} ${now.films === 1 ? "film" : "films"} · at most ${now.minutes}\u00a0min`),
    now.status === "running" && make("progress", { max: 100, value: share, "aria-label": "Progress of learning" }),
    now.status === "failed" && make("p", { class: "wrong" }, (now.said.at(-1) || "It ended, and said nothing.").replace(/^kineo: /, "")),
    make("p", {}, now.steps_total ? `step ${now.steps.toLocaleString()} of ${now.steps_total.toLocaleString()}` : now.status === "running" ? "looking at the footage" : ""),
    now.status === "completed" && isAsBefore(now) && make("p", { class: "base" }, "Nothing was better than what it began with, so it answers as before. More footage or more minutes may help."));
}

/** Whether the best on what is held out was the very first look. */
function isAsBefore({ held_out: points }) {
  return points.length > 1 && points[0][0] === 0 && points.every(([, value]) => value <= points[0][1]);
}

/** How well what was held out is answered, by step. */
function curve(now) {
  const points = now.held_out;
  if (!points.length) return now.status === "running" && make("p", { class: "none" }, "The curve begins with the first look at what is held out.");
  const wide = Math.max(280, at("learned").clientWidth - 34); // a unit is a pixel, so that letters keep their size
  const most = Math.max(now.steps_total || 0, points.at(-1)[0], 1), values = points.map(([, value]) => value);
  let [low, high] = [Math.min(...values), Math.max(...values)];
  [low, high] = [Math.floor(2 * (low - 0.2)) / 2, Math.ceil(2 * (high + 0.2)) / 2];
  const x = (step) => LEFT + (step / most) * (wide - LEFT - 12), y = (value) => HEIGHT - BELOW - ((value - low) / (high - low)) * (HEIGHT - BELOW - ABOVE);
  const best = points.reduce((a, b) => (b[1] > a[1] ? b : a));
  const text = `Held out: ${points.at(-1)[1].toFixed(2)} dB at step ${points.at(-1)[0]}; the best is ${best[1].toFixed(2)} dB at step ${best[0]}.`;
  const grid = [low, (low + high) / 2, high].flatMap((value) => [
    drawing("line", { x1: LEFT, x2: wide - 12, y1: y(value), y2: y(value), class: "grid" }),
    drawing("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(1))]);
  return make("figure", { class: "curve" },
    drawing("svg", { viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img", "aria-label": text }, grid,
      drawing("text", { x: LEFT, y: HEIGHT - 8 }, "step 0"), drawing("text", { x: wide - 12, y: HEIGHT - 8, "text-anchor": "end" }, most.toLocaleString()),
      drawing("polyline", { points: points.map(([step, value]) => `${x(step)},${y(value)}`).join(" ") }),
      points.map(([step, value]) => drawing("circle", { cx: x(step), cy: y(value), r: step === best[0] ? 5 : 3, class: step === best[0] ? "best" : "" }))),
    make("figcaption", {}, text));
}

async function stripsOf(now) {
  if (!now.pictures.length) return null;
  const newest = now.pictures.at(-1).slice(-8);
  const names = now.pictures.filter((name) => name.endsWith(newest));
  if (drawn !== names.join()) {
    for (const url of urls) forget(url);
    urls = await Promise.all(names.map((name) => urlOf(`/v1/learnings/${now.name}/pictures/${name}`)));
    drawn = names.join();
  }
  return make("figure", { class: "strips" }, make("figcaption", {}, `Held-out clips at step ${Number(newest).toLocaleString()}: the truth, the mean, and a sample; 1, 2, 4 and 8 frames ahead.`),
    make("div", {}, urls.map((url) => make("img", { src: url, alt: "The truth above, the mean and a sample below" }))));
}

function said(now) {
  return now.said.length > 0 && make("details", {}, make("summary", {}, "What it says"), make("pre", { tabindex: 0, "aria-label": "What it says" }, now.said.join("\n")));
}
