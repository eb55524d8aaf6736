// Every run with its recipe: opened, asked again with one thing changed, removed.

import { ask, download, forget, urlOf } from "./api.js";
import { at, button, bytesSaid, confirmed, make, secondsSaid, sizeSaid, telling, whenSaid } from "./dom.js";
import { VERBS, recipeOf } from "./verbs.js";
import { reopen } from "./work.js";

const PER_PAGE = 24;
let urls = [], last = null;
at("older").addEventListener("click", () => telling(more()));

export async function entered() {
  left();
  last = null;
  at("history").replaceChildren();
  await telling(more());
}

export function left() {
  for (const url of urls) forget(url);
  urls = [];
}

async function more() {
  const found = await ask("GET", `/v1/videos?limit=${PER_PAGE}${last ? `&after=${last}` : ""}`);
  last = found.last_id || last;
  at("older").hidden = !found.has_more;
  at("history").append(...found.data.map(tile));
  at("history-none").hidden = at("history").children.length > 0;
}

function tile(video) {
  const isMade = video.status === "completed" && video.bytes !== null;
  const picture = make("img", { alt: "", width: 320, height: 180 });
  const title = VERBS[video.task]?.says || video.task;
  const named = (text, does, more = {}) => button(text, does, { class: "small", "aria-label": `${text}: ${title}, ${whenSaid(video.created_at)}`, ...more });
  const made = make("li", { class: video.status },
    make("button", { type: "button", class: "shot", disabled: !isMade, "aria-label": `Open: ${title}, ${whenSaid(video.created_at)}`, onclick: () => reopen(video, false) }, picture, !isMade && make("span", {}, stateOf(video))),
    make("div", { class: "tile-text" },
      make("h3", {}, title),
      make("p", {}, recipeOf(video)),
      make("p", { class: "quiet" }, [whenSaid(video.created_at), video.model, sizeSaid(video.size), isMade && bytesSaid(video.bytes), isMade && video.estimated_seconds !== null && `made in ${secondsSaid(video.estimated_seconds)}`].filter(Boolean).join(" · "))),
    make("div", { class: "row tight" },
      named("Again with one change", () => reopen(video, true)),
      isMade && named("Download", () => telling(download(video))),
      named("Remove", () => remove(video, made))));
  if (isMade) shot(video, picture);
  return made;
}

function stateOf(video) {
  if (video.status === "failed") return video.error?.code === "cancelled" ? "cancelled" : `failed: ${video.error?.message || ""}`;
  if (video.status === "completed") return "dropped, as it was old";
  return video.status === "queued" ? "waiting" : `${video.progress} %`;
}

async function shot(video, picture) {
  const url = await urlOf(`/v1/videos/${video.id}/content?variant=thumbnail`).catch(() => "");
  if (!url) return;
  urls.push(url);
  picture.src = url;
}

async function remove(video, made) {
  if (!(await confirmed("Remove this run and its film?", "Remove"))) return;
  if (await telling(ask("DELETE", `/v1/videos/${video.id}`))) made.remove();
  at("history-none").hidden = at("history").children.length > 0;
}
