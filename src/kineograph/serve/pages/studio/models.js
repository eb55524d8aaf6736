// The models that are shipped and those that were learned, each with its card.

import { ask } from "./api.js";
import { at, make, telling } from "./dom.js";

const KINDS = { film: "makes films", world: "is played", map: "turns films into another domain", codec: "packs pictures", unknown: "of an unknown kind" };
const FIRST = ["data", "faults", "held_out", "held_out_decibels", "recipe", "steps", "seconds", "loss"];
const WORDS = { data: "learned from", faults: "does badly", held_out: "on what was held out", held_out_decibels: "dB on what was held out", seconds: "seconds of training" };

export async function entered() {
  const found = await telling(ask("GET", "/v1/models"));
  if (found) at("models").replaceChildren(...found.data.map(card));
}

function card({ id, kind, owned_by: owner, card: about }) {
  const keys = Object.keys(about).filter((key) => key !== "name" && about[key] !== null && about[key] !== "");
  const first = FIRST.filter((key) => keys.includes(key)), rest = keys.filter((key) => !FIRST.includes(key));
  return make("li", {},
    make("h3", {}, id, make("span", { class: "tag" }, owner === "you" ? "yours" : "shipped")),
    make("p", { class: "quiet" }, KINDS[kind] || kind),
    told(about, first),
    rest.length > 0 && make("details", {}, make("summary", { "aria-label": `All of the card of ${id}` }, "All of its card"), told(about, rest)));
}

function told(about, keys) {
  return make("dl", {}, keys.flatMap((key) => [make("dt", {}, WORDS[key] || key.replaceAll("_", " ")), make("dd", {}, value(about[key]))]));
}

function value(found) {
  if (typeof found === "number") return Math.abs(found) >= 1000 || Number.isInteger(found) ? Math.round(found).toLocaleString() : String(Number(found.toPrecision(4)));
  if (Array.isArray(found)) return found.map((one) => (typeof one === "object" ? JSON.stringify(one) : one)).join(", ");
  if (found && typeof found === "object") return told(found, Object.keys(found));
  return String(found);
}
