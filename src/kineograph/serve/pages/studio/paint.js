// Where in the picture: a box, a thing to follow, or a painted mask; by pointer, keys or numbers.

import { button, make } from "./dom.js";

const TOOLS = [["none", "None"], ["box", "Box"], ["track", "Follow"], ["brush", "Paint"]];
const PAINT = [255, 59, 107, 255];
const HINTS = {
  none: "",
  box: "Draw a box on the film, or give its numbers.",
  track: "Draw a box about the thing in the first frame; it is followed from there.",
  brush: "Paint on the film. With keys: arrows move the brush, Enter paints, Delete rubs out.",
};

/** Paints on `layer` and has its controls in `panel`. changed: after each change of what is meant. */
export function makePaint(layer, panel, { changed, atFirstFrame }) {
  const canvas = make("canvas", { tabindex: -1, role: "img", "aria-label": "What is painted on the film" });
  const frame = make("div", { class: "box", hidden: true, "aria-hidden": "true" });
  layer.append(canvas, frame);
  const state = { tool: "none", box: null, size: [1, 1], isPainted: false, cursor: [0, 0], isRubber: false, base: null };

  const radios = TOOLS.map(([value, text]) => make("label", { class: "choice" }, make("input", { type: "radio", name: "tool", value, onchange: () => choose(value) }), make("span", {}, text)));
  const names = ["Left", "Top", "Width", "Height"];
  const numbers = names.map((name) => make("input", { type: "number", min: 0, step: 1, inputmode: "numeric", "aria-label": `${name}, px`, oninput: typed }));
  const boxed = make("div", { class: "numbers", hidden: true }, names.map((name, n) => make("label", {}, make("span", { "aria-hidden": "true" }, name), numbers[n])));
  const width = make("input", { type: "range", min: 1, max: 100, value: 12, "aria-label": "Width of the brush" });
  const rubber = button("Rub out", () => { state.isRubber = !state.isRubber; rubber.setAttribute("aria-pressed", state.isRubber); }, { "aria-pressed": "false", class: "small" });
  const brushed = make("div", { class: "row", hidden: true }, make("span", {}, "Brush"), width, rubber);
  const clear = button("Clear", () => { wipe(); changed(); }, { class: "small", hidden: true });
  const hint = make("p", { class: "hint" });
  panel.append(make("fieldset", {}, make("legend", {}, "Where"), make("div", { class: "choices" }, radios), boxed, brushed, make("div", { class: "row apart" }, hint, clear)));

  function choose(tool) {
    state.tool = tool;
    state.base = null;
    for (const label of radios) label.firstChild.checked = label.firstChild.value === tool;
    boxed.hidden = !["box", "track"].includes(tool);
    brushed.hidden = tool !== "brush";
    clear.hidden = tool === "none";
    hint.textContent = HINTS[tool];
    layer.classList.toggle("painting", tool !== "none");
    canvas.tabIndex = tool === "brush" ? 0 : -1;
    canvas.hidden = tool !== "brush";
    if (tool === "track") atFirstFrame();
    if (tool === "brush" && state.cursor[0] === 0) state.cursor = state.size.map((n) => n / 2);
    drawBox();
    changed();
  }

  function wipe() {
    state.box = null;
    state.isPainted = false;
    state.base = null;
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    for (const input of numbers) input.value = "";
    drawBox();
  }

  function setSize(wide, high) {
    state.size = [wide, high];
    [canvas.width, canvas.height] = [wide, high];
    numbers.forEach((input, n) => { input.max = n % 2 ? high : wide; });
    wipe();
    choose("none");
  }

  function typed() {
    const found = numbers.map((input) => Number(input.value));
    state.box = found[2] > 0 && found[3] > 0 ? found : null;
    drawBox();
    changed();
  }

  function drawBox() {
    frame.hidden = !state.box || !["box", "track"].includes(state.tool);
    if (frame.hidden) return;
    const [left, top, wide, high] = state.box, [all, tall] = state.size;
    frame.style.left = `${(left / all) * 100}%`;
    frame.style.top = `${(top / tall) * 100}%`;
    frame.style.width = `${(wide / all) * 100}%`;
    frame.style.height = `${(high / tall) * 100}%`;
    frame.classList.toggle("track", state.tool === "track");
  }

  function place(event) {
    const box = layer.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * state.size[0], ((event.clientY - box.top) / box.height) * state.size[1]];
  }

  function setBox([x, y], [u, v]) {
    const [all, tall] = state.size;
    const left = Math.max(0, Math.round(Math.min(x, u))), top = Math.max(0, Math.round(Math.min(y, v)));
    const right = Math.min(all, Math.round(Math.max(x, u))), bottom = Math.min(tall, Math.round(Math.max(y, v)));
    state.box = right > left && bottom > top ? [left, top, right - left, bottom - top] : null;
    numbers.forEach((input, n) => { input.value = state.box ? state.box[n] : ""; });
    drawBox();
  }

  function stroke(from, to, rubs) {
    const tools = canvas.getContext("2d");
    tools.globalCompositeOperation = rubs ? "destination-out" : "source-over";
    tools.strokeStyle = `rgb(${PAINT.slice(0, 3)})`;
    tools.lineCap = tools.lineJoin = "round";
    tools.lineWidth = brushPx();
    tools.beginPath();
    tools.moveTo(...from);
    tools.lineTo(to[0] + 0.01, to[1]);
    tools.stroke();
    state.isPainted = true;
    state.base = null;
  }

  const brushPx = () => Math.max(1, (Number(width.value) / 100) * Math.min(...state.size));

  layer.addEventListener("pointerdown", (event) => {
    if (state.tool === "none" || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    layer.setPointerCapture(event.pointerId);
    if (state.tool === "track") atFirstFrame();
    const first = place(event);
    let last = first;
    if (state.tool === "brush") stroke(first, first, state.isRubber);
    const move = (now) => {
      if (state.tool === "brush") { stroke(last, place(now), state.isRubber); last = place(now); }
      else setBox(first, place(now));
    };
    layer.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel"]) layer.addEventListener(kind, () => { layer.removeEventListener("pointermove", move); changed(); }, { once: true });
  });

  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const rubs = event.key === "Delete" || event.key === "Backspace";
    if (!by && event.key !== "Enter" && !rubs) return;
    event.preventDefault();
    event.stopPropagation();
    const before = state.cursor;
    if (by) state.cursor = before.map((n, axis) => Math.max(0, Math.min(state.size[axis], n + (by[axis] * brushPx()) / 2)));
    else { stroke(before, before, rubs); changed(); }
    showCursor();
  });

  function showCursor() {
    layer.style.setProperty("--cursor-x", `${(state.cursor[0] / state.size[0]) * 100}%`);
    layer.style.setProperty("--cursor-y", `${(state.cursor[1] / state.size[1]) * 100}%`);
  }

  /** What is meant: {region}, {mask: {file_id}}, {paint: true} where a mask is yet to be uploaded, or nothing. */
  function meant() {
    if (state.base) return state.base;
    if (state.tool === "brush" && state.isPainted) return { paint: true };
    if (!state.box || !["box", "track"].includes(state.tool)) return {};
    return { region: `${state.tool === "track" ? "track:" : ""}${state.box.join(",")}` };
  }

  /** The mask: white where it is painted. */
  function mask() {
    const made = make("canvas", { width: canvas.width, height: canvas.height }), tools = made.getContext("2d");
    tools.drawImage(canvas, 0, 0);
    const picture = tools.getImageData(0, 0, made.width, made.height);
    for (let n = 0; n < picture.data.length; n += 4) picture.data.set(picture.data[n + 3] > 127 ? [255, 255, 255, 255] : [0, 0, 0, 255], n);
    tools.putImageData(picture, 0, 0);
    return new Promise((keep) => made.toBlob(keep, "image/png"));
  }

  /** What was meant in an earlier question; picture: of its mask, where there is one. */
  async function restore(said, picture = null) {
    wipe();
    if (!said) { choose("none"); return; }
    const box = said.region?.match(/^(track:)?([\d.]+),([\d.]+),([\d.]+),([\d.]+)$/);
    if (box) {
      state.box = box.slice(2).map(Number);
      numbers.forEach((input, n) => { input.value = state.box[n]; });
      choose(box[1] ? "track" : "box");
    } else {
      choose("brush");
      if (picture) redraw(await createImageBitmap(picture));
      state.base = said;
      hint.textContent = "As it was painted before. Paint more, or clear it and paint anew.";
      changed();
    }
  }

  /** A mask as what is painted. */
  function redraw(picture) {
    const tools = canvas.getContext("2d");
    tools.globalCompositeOperation = "source-over";
    tools.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const found = tools.getImageData(0, 0, canvas.width, canvas.height);
    for (let n = 0; n < found.data.length; n += 4) found.data.set(found.data[n] > 127 ? PAINT : [0, 0, 0, 0], n);
    tools.putImageData(found, 0, 0);
    picture.close();
    state.isPainted = true;
  }

  choose("none");
  /** What it is called when no place is meant. */
  function setNone(text) {
    radios[0].lastChild.textContent = text;
  }

  return { setSize, meant, mask, restore, choose, setNone };
}
