// Why a picture was found: what was asked beside it, and lines from points of the one to the same points of the other.

import { el, overlays, svg } from "./dom.js";
import { large } from "./picture.js";

const MOST = 40; // lines; more cannot be told apart
const LARGEST = 0.62; // of the picture's side along which both stand: what was asked beside it
const GAP = 0.1; // of that side

// Where both stand, x y w h each, and the whole, in pixels of the picture: beside or above each other, as is larger
// in a window of some width and height.
export function layout([w, h], [width, height], [windowWidth, windowHeight]) {
  const besides = Math.min((LARGEST * width) / w, height / h);
  const above = Math.min(width / w, (LARGEST * height) / h);
  const [left, top] = [w * besides + GAP * width, h * above + GAP * height];
  const ways = [
    { size: [left + width, height], asked: [0, (height - h * besides) / 2, w * besides, h * besides], found: [left, 0, width, height] },
    { size: [width, top + height], asked: [(width - w * above) / 2, 0, w * above, h * above], found: [0, top, width, height] },
  ];
  const scale = ({ size }) => Math.min(windowWidth / size[0], windowHeight / size[1]);
  return scale(ways[0]) >= scale(ways[1]) ? ways[0] : ways[1];
}

const share = (value, whole) => `${(100 * value) / whole}%`;

function placed([x, y, w, h], [width, height]) {
  return { left: share(x, width), top: share(y, height), width: share(w, width), height: share(h, height) };
}

// How many points agree, in words.
export function countOf(result) {
  const n = result.changed ? 0 : (result.partners?.points.length ?? 0);
  if (!n) return "no points agree";
  return n === 1 ? "1 point agrees" : `${n} points agree`;
}

// The sheet of a result, {image_id, image, width, height, partners, ...}, for a window of [width, height].
// asked: the pictures searched with, {src, name, box, width, height}, in the order of the answer.
export function whySheet(result, asked, room) {
  const partners = result.changed ? null : result.partners;
  const query = asked[partners?.query ?? 0];
  const [x, y, w, h] = query.box ?? [0, 0, query.width, query.height];
  const places = layout([w, h], [result.width, result.height], room);
  const crop = placed([-x, -y, query.width, query.height], [w, h]);
  const sheet = el(
    "div",
    { class: "viewer-sheet", data: { why: "" }, style: { aspectRatio: places.size.join(" / ") } },
    el("div", { class: "why-part", style: placed(places.asked, places.size) },
      el("img", { src: query.src, alt: `What was searched with: ${query.name}`, draggable: "false", style: crop })),
    el("div", { class: "why-part", style: placed(places.found, places.size) },
      large(result, { width: "100%", height: "100%" }),
      ...overlays(result)),
    partners ? lines(partners.points, [x, y, w, h], result, places) : null,
  );
  sheet.style.setProperty("--ratio", places.size[0] / places.size[1]);
  return sheet;
}

// The first few of the points, which lie all over the object, and the lines between them.
function lines(points, [x, y, w, h], { width, height }, { size, asked, found }) {
  const shown = points.slice(0, MOST).map(([px, py, u, v]) => [
    asked[0] + ((px - x) / w) * asked[2],
    asked[1] + ((py - y) / h) * asked[3],
    found[0] + (u / width) * found[2],
    found[1] + (v / height) * found[3],
  ]);
  const stroke = (kind, path) => svg("path", { class: kind, d: shown.map(path).join("") });
  const between = ([ax, ay, bx, by]) => `M${ax} ${ay}L${bx} ${by}`;
  const [here, there] = [([ax, ay]) => `M${ax} ${ay}h0`, ([, , bx, by]) => `M${bx} ${by}h0`];
  const words = shown.length < points.length ? `${shown.length} of ${points.length} points that agree` : countOf({ partners: { points } });
  return svg(
    "svg",
    { class: "why-lines", viewBox: `0 0 ${size.join(" ")}`, preserveAspectRatio: "none", role: "img", "aria-label": `${words}, joined by lines` },
    stroke("shade", between), stroke("line", between),
    stroke("rim", here), stroke("rim", there), stroke("asked", here), stroke("found", there),
  );
}
