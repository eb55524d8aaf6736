// The page to work on: a film, a question about it, its answer.

import { ask, blobOf, forget, upload, urlOf } from "./api.js";
import { at, bytesSaid, make, rate, secondsSaid, sizeSaid, tell } from "./dom.js";
import { makeAnswer } from "./answer.js";
import { makeForm } from "./form.js";
import { makePaint } from "./paint.js";
import { joined, makeTimeline, rangesIn, textOf } from "./timeline.js";
import { makeScreen } from "./screen.js";
import { VERBS, valuesIn } from "./verbs.js";

const PAUSE_MS = 350; // after the last change, before the cost is asked
let given = null, picked = [], models = { film: ["kineo-small"], map: [] }, view = "film", timer = 0, asking = 0;
let form, screen, timeline, paint, answer;

/** The page, once. */
export async function begin() {
  for (const [verb, { says }] of Object.entries(VERBS)) at("verb").append(make("option", { value: verb }, `${says}: ${verb}`));
  screen = makeScreen(at("film-screen"), { name: "The film", heard: (frame) => timeline?.setFrame(frame) });
  timeline = makeTimeline(at("timeline"), { seek: (frame) => { screen.pause(); screen.go(frame); }, pick });
  paint = makePaint(screen.layer, at("paint-panel"), { changed: meant, atFirstFrame: () => screen.go(0) });
  form = makeForm(at("fields"), at("more"), { changed, regionPanel: at("paint-panel"), models: (verb) => models[VERBS[verb].by || "film"] });
  at("paint-panel").remove(); // it is in the form of those verbs that ask where
  answer = makeAnswer({ shown: switchTo, further });
  listen();
  setVerb("predict");
  know(await ask("GET", "/v1/models"));
  form.show(form.form.verb, form.form.values);
}

/** What a question can be put to; a verb that nothing here answers is not offered. */
function know(found) {
  const named = (kind) => found.data.filter((one) => one.kind === kind).map((one) => one.id);
  models = { film: named("film"), map: named("map") };
  for (const option of at("verb").options) option.hidden = option.disabled = !models[VERBS[option.value].by || "film"].length;
}

/** A newly learned model can be chosen at once. */
export async function entered() {
  if (!form) return;
  const found = await ask("GET", "/v1/models").catch(() => null);
  if (!found) return;
  const before = JSON.stringify(models);
  know(found);
  if (JSON.stringify(models) !== before) form.show(form.form.verb, form.form.values, form.form.base);
}

/** The next question is put to that model. */
export async function useModel(name) {
  location.hash = "work";
  await entered();
  form.put("model", name);
}

export function left() {
  screen.pause();
  answer.screen.pause();
}

function listen() {
  at("choose").addEventListener("click", () => at("file").click());
  at("other").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => { take(at("file").files[0]); at("file").value = ""; });
  at("no-film").addEventListener("click", leaveOut);
  at("nothing").addEventListener("click", () => { setVerb("generate"); at("run").focus(); });
  const page = at("page-work");
  page.addEventListener("dragover", (event) => { event.preventDefault(); page.classList.add("over"); });
  page.addEventListener("dragleave", (event) => { if (!page.contains(event.relatedTarget)) page.classList.remove("over"); });
  page.addEventListener("drop", (event) => { event.preventDefault(); page.classList.remove("over"); take(event.dataTransfer.files[0]); });
  at("verb").addEventListener("change", () => setVerb(at("verb").value));
  at("ask").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  at("pick-in").addEventListener("click", () => pickFrom(screen.frame()));
  at("pick-out").addEventListener("click", () => pickTo(screen.frame()));
  at("pick-none").addEventListener("click", () => setPicked([]));
  at("show-film").addEventListener("click", () => switchTo("film"));
  at("show-answer").addEventListener("click", () => switchTo(answer.isOver() ? "answer" : "live"));
}

async function take(file) {
  if (!file) return;
  at("drop").classList.add("busy");
  try {
    tell(`Uploading ${file.name} …`);
    const found = await upload(file, (share) => tell(`Uploading ${file.name}: ${Math.round(100 * share)} %`));
    tell("");
    await open({ ...found, name: file.name }, file);
  } catch (error) {
    tell(error.message, true);
  }
  at("drop").classList.remove("busy");
}

/** Shows what was uploaded. blob: the film itself, where it is at hand. */
export async function open(found, blob = null) {
  if (given) forget(given.url);
  const url = blob ? URL.createObjectURL(blob) : await urlOf(`/v1/files/${found.id}/content`, found.bytes, found.kind === "picture" ? "" : "video/mp4");
  given = { ...found, url, isStill: found.kind === "picture", rate: rate(found.fps) };
  showDesk();
  answer.clear();
  const stillUrl = await urlOf(`/v1/files/${found.id}/thumbnail`).catch(() => "");
  const picture = given.isStill ? stillUrl : url;
  given.stillUrl = stillUrl;
  screen.load({ url: picture, stillUrl, isStill: given.isStill, frames: found.num_frames, fps: given.rate, width: found.width, height: found.height });
  paint.setSize(found.width, found.height);
  about();
  at("timeline").hidden = given.isStill;
  const verb = form.form.verb, takes = VERBS[verb].takes;
  if (given.isStill && takes !== "picture") setVerb("animate");
  else if (!given.isStill && takes === "picture") setVerb("predict");
  setPicked([]);
  showNoFilm();
  switchTo("film");
  const sheet = given.isStill ? null : await blobOf(`/v1/files/${found.id}/spritesheet`).catch(() => null);
  await timeline.setFilm(found.num_frames, sheet);
  timeline.setFrame(screen.frame());
  changed();
}

function showDesk(isShown = true) {
  at("drop").hidden = isShown;
  at("desk").hidden = !isShown;
}

/** No film is given. */
function close() {
  if (given) forget(given.url);
  given = null;
  answer.clear();
  at("about").textContent = "";
  showNoFilm();
  switchTo("film");
}

/** Only what needs no film can do without the one that was given. */
function leaveOut() {
  close();
  changed();
  at("verb").focus();
}

function about() {
  const { name, width, height, num_frames: frames, isStill, seconds, bytes } = given;
  const told = [name || "a film", `${width} × ${height}`];
  if (!isStill) told.push(`${frames} frames`, `${seconds.toFixed(2)} s`, `${Number(given.rate.toFixed(2))} a second`);
  at("about").textContent = [...told, bytesSaid(bytes)].join(" · ");
}

function setVerb(verb, values = {}, base = null) {
  at("verb").value = verb;
  form.show(verb, values, base);
  at("base").hidden = !base;
  paint.setNone(VERBS[verb].needsRegion ? "None" : "All");
  if (!VERBS[verb].fields.includes("region")) paint.choose("none");
  showNoFilm();
  picked = [];
  if (given && values.known) picked = rangesIn(values.known, given.num_frames) || [];
  showPicks();
  meant();
}

function showNoFilm() {
  at("no-film").hidden = !given || VERBS[form.form.verb].takes !== "nothing";
}

function showPicks() {
  const { picks } = VERBS[form.form.verb];
  at("picks").hidden = !picks || !given || given.isStill;
  timeline.setPicks(picked, Boolean(picks));
  at("picked").textContent = picked.length ? `known: ${textOf(picked)}` : "all frames are known; drag over the strip to pick some";
  at("pick-none").disabled = !picked.length;
}

function setPicked(ranges) {
  picked = VERBS[form.form.verb].picks === "one" ? ranges.slice(-1) : joined(ranges);
  form.put("known", textOf(picked));
  showPicks();
  changed();
}

function pick(range) {
  setPicked([...picked, range]);
}

function pickFrom(frame) {
  const last = picked.at(-1), end = last && last[1] >= frame ? last[1] : given.num_frames - 1;
  setPicked([...picked.slice(0, -1), [frame, end]]);
}

function pickTo(frame) {
  const last = picked.at(-1), start = last && last[0] <= frame ? last[0] : 0;
  setPicked([...picked.slice(0, -1), [start, frame]]);
}

function meant() {
  if (!form) return;
  form.form.values.region = paint.meant();
  changed();
}

function changed(name) {
  if (name === "known" && given) {
    const ranges = rangesIn(form.form.values.known, given.num_frames);
    if (ranges) { picked = ranges; showPicks(); }
  }
  clearTimeout(timer);
  at("run").disabled = !isReady();
  timer = setTimeout(estimate, PAUSE_MS);
}

function isReady() {
  const verb = VERBS[form.form.verb];
  return (verb.takes === "nothing" || given !== null) && (!verb.needsRegion || Object.keys(form.form.values.region || {}).length > 0);
}

function question() {
  const body = form.asked();
  if (given) body.input_reference = { file_id: given.id };
  return body;
}

async function estimate() {
  const mine = (asking += 1);
  if (!isReady()) { at("estimate").textContent = given ? "Say where: draw a box, follow something, or paint." : ""; return; }
  const body = question();
  delete body.paint; // a painted mask costs as much as any
  if (form.form.values.region?.paint) body.region = "0,0,100%,100%";
  try {
    const found = await ask("POST", "/v1/estimates", body);
    if (mine !== asking) return;
    const took = found.estimated_seconds === null ? "how long is known after the first of its kind" : `about ${secondsSaid(found.estimated_seconds)} to make`;
    at("estimate").textContent = `${Number(Number(found.seconds).toFixed(2))} s · ${sizeSaid(found.size)} · ${found.frames_total} frames · ${took}`;
    refuse(null);
  } catch (error) {
    if (mine !== asking) return;
    at("estimate").textContent = "";
    refuse(error);
  }
}

function refuse(error) {
  const isPlaced = form.wrong(error?.param ?? null, error?.message);
  at("wrong").hidden = !error || isPlaced;
  at("wrong").textContent = error && !isPlaced ? error.message : "";
}

async function run() {
  if (!isReady()) return;
  at("run").disabled = true;
  try {
    const body = question();
    if (body.paint) {
      delete body.paint;
      const found = await upload(await paint.mask());
      body.mask = { file_id: found.id };
    }
    const video = await ask("POST", "/v1/videos", body);
    refuse(null);
    showDesk();
    answer.follow(video, given);
    at("desk").scrollIntoView({ block: "nearest" });
  } catch (error) {
    refuse(error);
  }
  at("run").disabled = !isReady();
}

function switchTo(name) {
  view = name;
  if (name === "film") showDesk(given !== null);
  at("show-film").disabled = !given;
  at("film-view").hidden = name !== "film";
  at("live-view").hidden = name !== "live";
  at("answer-view").hidden = name !== "answer";
  at("show-film").setAttribute("aria-pressed", name === "film");
  at("show-answer").setAttribute("aria-pressed", name !== "film");
  at("show-answer").disabled = !answer.has();
  (name === "film" ? answer.screen : screen).pause();
  if (name === "answer") changed(); // how long it takes is known better now
  if (name === "film") at("timeline").hidden = !given || given.isStill;
}

/** What was made is the film from here on. */
async function further(video) {
  const made = await blobOf(`/v1/videos/${video.id}/content`);
  const found = await upload(made);
  await open({ ...found, name: `${video.task} of before` }, new Blob([made], { type: "video/mp4" }));
}

/** An earlier run, its film and its answer; or its question, to be asked again with one thing changed. */
export async function reopen(video, isAgain) {
  const id = video.inputs.input_reference;
  try {
    const found = id ? await ask("GET", `/v1/files/${id}`) : null;
    if (found) await open({ ...found, name: "the same film" });
    else close();
    location.hash = "work";
    const values = valuesIn(video);
    setVerb(video.task, values, values);
    const mask = values.region?.mask?.file_id;
    await paint.restore(values.region, mask ? await blobOf(`/v1/files/${mask}/thumbnail`).catch(() => null) : null);
    at("base").textContent = "As before. Change one thing, and run it again.";
    at("base").hidden = !isAgain;
    if (isAgain) { at("verb").focus(); return; }
    showDesk();
    await answer.showOver(video, given);
  } catch (error) {
    tell(error.status === 404 ? "Its film has been dropped, as it was old: give it again." : error.message, true);
  }
}

export function key(event) {
  if (at("desk").hidden) return false;
  if (view === "film" && given && "io".includes(event.key.toLowerCase()) && VERBS[form.form.verb].picks) {
    (event.key.toLowerCase() === "i" ? pickFrom : pickTo)(screen.frame());
    return true;
  }
  return view !== "live" && (view === "film" ? screen : answer.screen).key(event);
}
