// What was asked beside what was found: both cut out, with some of what is around them, as large as they go.

import { el, overlay, overlays } from "./dom.js";
import { large } from "./picture.js";

const AROUND = 0.3; // of a box's sides, that is shown on each side of it
const LEAST = 32; // pixels of the picture, below which a part is only blurred
const GAP = 12; // pixels of the screen between both

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// The part x y w h of a picture of width x height that fills a window of a shape (width / height) around a box.
export function partAround([x, y, w, h], [width, height], shape) {
  let [partW, partH] = [[w, width], [h, height]].map(([side, whole]) => Math.min(whole, Math.max(LEAST, side * (1 + 2 * AROUND))));
  if (partW < partH * shape) partW = partH * shape;
  else partH = partW / shape;
  const from = (middle, size, whole) => (size >= whole ? (whole - size) / 2 : clamp(middle - size / 2, 0, whole - size));
  return [from(x + w / 2, partW, width), from(y + h / 2, partH, height), partW, partH];
}

// The windows for both in a room: beside or above each other, as shows more of the smaller one. [width, height] each.
export function windows([roomW, roomH], boxes) {
  const ways = [[(roomW - GAP) / 2, roomH], [roomW, (roomH - GAP) / 2]];
  const scale = (way) => Math.min(...boxes.map(([, , w, h]) => Math.min(way[0] / w, way[1] / h) * Math.max(w, h)));
  return scale(ways[0]) >= scale(ways[1]) ? ways[0] : ways[1];
}

// asked: the pictures searched with, {src, name, box, width, height, title of the query where it has one}; room: [width, height] of the window.
export function compareSheet(result, asked, room) {
  const query = asked[result.partners?.query ?? 0];
  const box = query.box ?? [0, 0, query.width, query.height];
  const size = windows(room, [box, result.box]);
  const isBeside = size[1] === room[1];
  const image = el("img", { src: query.src, alt: `What was searched with: ${query.name}`, draggable: "false" });
  const marks = query.box ? [overlay(query.box, query.width, query.height, "asked")] : [];
  const sheet = el(
    "div",
    { class: `viewer-sheet compare${isBeside ? "" : " above"}`, data: { compare: "" }, style: { aspectRatio: room.join(" / ") } },
    pane(query.title ? `Looked for: ${query.title}` : "Looked for", box, query, size, [image, ...marks]),
    pane("Found", result.box, result, size, [large(result), ...overlays(result)]),
  );
  sheet.style.setProperty("--ratio", room[0] / room[1]);
  return sheet;
}

function pane(words, box, { width, height }, size, children) {
  const [x, y, w, h] = partAround(box, [width, height], size[0] / size[1]);
  const share = (value, whole) => `${(100 * value) / whole}%`;
  const style = { left: share(-x, w), top: share(-y, h), width: share(width, w), height: share(height, h) };
  return el("div", { class: "compare-pane" }, el("div", { class: "compare-picture", style }, ...children), el("p", { class: "compare-words", text: words }));
}
