// The moments of a film in a strip, on which a place is chosen and known frames are picked.

import { make } from "./dom.js";

const COLUMNS = 4, MOST_TILES = 16; // of the sheet that the server makes
const DRAG_PX = 5;

/** Ranges of frames as text: 0-11,20. */
export function textOf(ranges) {
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** Text as ranges, sorted and joined; null where it is no such text. */
export function rangesIn(text, frames) {
  const found = [];
  for (const part of text.split(",").filter((one) => one.trim())) {
    const said = part.trim().match(/^(\d+)(?:-(\d+))?$/);
    if (!said) return null;
    const [first, last] = [Number(said[1]), Number(said[2] ?? said[1])];
    if (last < first || last >= frames) return null;
    found.push([first, last]);
  }
  return joined(found);
}

export function joined(ranges) {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const found = [];
  for (const [first, last] of sorted) {
    const before = found.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else found.push([first, last]);
  }
  return found;
}

/** A strip in `place`. seek: a frame was chosen; pick: a range was drawn over it. */
export function makeTimeline(place, { seek, pick }) {
  const canvas = make("canvas", { height: 64, width: 1024, "aria-hidden": "true" });
  const marks = make("div", { class: "marks", "aria-hidden": "true" });
  const head = make("div", { class: "head", "aria-hidden": "true" });
  const strip = make("div", { class: "strip" }, canvas, marks, head);
  place.append(strip);
  let frames = 1, canPick = false, sheet = null;

  const frameAt = (event) => {
    const box = strip.getBoundingClientRect();
    return Math.max(0, Math.min(frames - 1, Math.floor(((event.clientX - box.left) / box.width) * frames)));
  };

  strip.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    strip.setPointerCapture(event.pointerId);
    event.preventDefault();
    const first = frameAt(event), from = event.clientX;
    let isDrag = false;
    const move = (now) => {
      isDrag ||= Math.abs(now.clientX - from) > DRAG_PX;
      if (canPick && isDrag) draw([[Math.min(first, frameAt(now)), Math.max(first, frameAt(now))]], "drawn");
      else seek(frameAt(now));
    };
    const end = (now) => {
      strip.removeEventListener("pointermove", move);
      strip.removeEventListener("pointerup", end);
      for (const one of marks.querySelectorAll(".drawn")) one.remove();
      if (canPick && isDrag && now.type === "pointerup") pick([Math.min(first, frameAt(now)), Math.max(first, frameAt(now))]);
    };
    seek(first);
    strip.addEventListener("pointermove", move);
    strip.addEventListener("pointerup", end);
    strip.addEventListener("lostpointercapture", end, { once: true });
  });

  function draw(ranges, kind) {
    for (const one of marks.querySelectorAll(`.${kind}`)) one.remove();
    for (const [first, last] of ranges) {
      const mark = make("div", { class: kind });
      mark.style.left = `${(first / frames) * 100}%`;
      mark.style.width = `${((last - first + 1) / frames) * 100}%`;
      marks.append(mark);
    }
  }

  /** known: the picked ranges, none for all; picks: whether any may be picked. */
  function setPicks(known, picks) {
    canPick = picks;
    strip.classList.toggle("picks", picks);
    draw(picks ? known : [], "known");
    draw(picks && known.length ? gaps(known) : [], "gap");
  }

  /** What lies between the ranges. */
  function gaps(ranges) {
    const found = ranges.map(([first], n) => [n ? ranges[n - 1][1] + 1 : 0, first - 1]);
    return [...found, [ranges.at(-1)[1] + 1, frames - 1]].filter(([first, last]) => last >= first);
  }

  function setFrame(number) {
    head.style.left = `${((number + 0.5) / frames) * 100}%`;
  }

  async function setFilm(count, blob) {
    frames = count;
    sheet?.close();
    sheet = blob ? await createImageBitmap(blob) : null;
    tile();
  }

  /** As many moments as there is room for. */
  function tile() {
    const tools = canvas.getContext("2d");
    tools.clearRect(0, 0, canvas.width, canvas.height);
    if (!sheet || !strip.clientWidth) return;
    const tiles = Math.min(MOST_TILES, frames), columns = Math.min(COLUMNS, tiles), rows = Math.ceil(tiles / columns);
    const width = sheet.width / columns, height = sheet.height / rows;
    const shown = Math.max(1, Math.min(tiles, Math.floor(strip.clientWidth / Math.max(40, (64 * width) / height))));
    canvas.width = Math.max(320, Math.min(2048, Math.round(2 * strip.clientWidth)));
    canvas.height = 128;
    for (let n = 0; n < shown; n += 1) {
      const moment = Math.floor(((n + 0.5) / shown) * tiles);
      const left = (n / shown) * canvas.width, wide = canvas.width / shown;
      const scale = Math.max(wide / width, canvas.height / height);
      const [cutW, cutH] = [wide / scale, canvas.height / scale];
      tools.drawImage(sheet, (moment % columns) * width + (width - cutW) / 2, Math.floor(moment / columns) * height + (height - cutH) / 2, cutW, cutH, left, 0, wide - 1, canvas.height);
    }
  }

  new ResizeObserver(tile).observe(strip);
  return { setPicks, setFrame, setFilm };
}
