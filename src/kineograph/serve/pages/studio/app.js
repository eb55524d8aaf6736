// The pages, which one is shown, and the keys that hold on all of them.

import { takeToken, token } from "./api.js";
import { at, tell } from "./dom.js";
import * as history_ from "./history.js";
import * as learn from "./learn.js";
import * as models from "./models.js";
import * as play from "./play.js";
import * as queue from "./queue.js";
import * as work from "./work.js";

const PAGES = { work, queue, history: history_, models, learn, play };
let shown = "";

function named() {
  const said = location.hash.slice(1);
  return said in PAGES ? said : "work";
}

function show() {
  if (location.hash === "#main") { at("main").focus(); return; }
  if (takeToken()) { location.reload(); return; }
  const name = named();
  if (name === shown) return;
  if (shown) PAGES[shown].left?.();
  shown = name;
  for (const one of Object.keys(PAGES)) at(`page-${one}`).hidden = one !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "work" ? "kineo studio" : `${name} · kineo studio`;
  if (token()) PAGES[name].entered?.();
}

function isTyped(on) {
  return on.matches("textarea, select, dialog *, input:not([type=range], [type=checkbox], [type=radio])");
}

addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && shown === "work") { at("ask").requestSubmit(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyped(event.target)) return;
  const isPressed = event.target.matches("button, summary, a, input[type=checkbox], input[type=radio]");
  if (isPressed && [" ", "Enter"].includes(event.key)) return;
  if (event.target.matches("input[type=range], input[type=radio]") && /^(Arrow|Home|End)/.test(event.key)) return;
  if (event.key === "?") at("help").showModal();
  else if (/^[1-6]$/.test(event.key)) location.hash = Object.keys(PAGES)[Number(event.key) - 1];
  else if (shown !== "work" || !work.key(event)) return;
  event.preventDefault();
});
at("keys").addEventListener("click", () => at("help").showModal());
addEventListener("hashchange", show);

takeToken();
if (token()) {
  const begun = work.begin();
  queue.begin();
  learn.begin();
  begun.catch((error) => tell(error.message, true));
} else {
  tell("This tab has no token: open the address that kineo studio printed.", true);
}
show();
