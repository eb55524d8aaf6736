// Worlds, each played on a page of its own within this one.

import { ask } from "./api.js";
import { at, button, make, telling } from "./dom.js";

export async function entered() {
  const found = await telling(ask("GET", "/v1/models"));
  const worlds = (found?.data || []).filter((one) => one.kind === "world");
  at("worlds").replaceChildren(...worlds.map(({ id, card }) => make("div", { class: "world" },
    button(`Play ${id}`, () => play(id), { "data-world": id, "aria-pressed": "false" }), make("span", { class: "quiet" }, card.game || ""))));
}

/** A world that nobody sees need not dream. */
export function left() {
  at("world").hidden = true;
  at("world").removeAttribute("src");
  at("play-none").hidden = false;
}

async function play(name) {
  const found = await telling(ask("POST", `/v1/worlds/${name}/table`));
  if (!found) return;
  for (const one of document.querySelectorAll("[data-world]")) one.setAttribute("aria-pressed", one.dataset.world === name);
  at("play-none").hidden = true;
  at("world").hidden = false;
  at("world").src = found.address;
  at("world").onload = () => at("world").focus();
}
