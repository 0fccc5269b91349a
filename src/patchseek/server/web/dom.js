// Small helpers for the document. Text goes in as text: nothing here, or anywhere, parses a string as HTML.

export { fine, problem } from "./problems.js";

export const $ = (id) => document.getElementById(id);

// An element with properties (class, text, on: {click}, data: {}, style: {}, other attributes) and children.
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "style") Object.assign(node.style, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// The same of a drawing: attributes alone.
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Say something to a screen reader; with `problem` everybody sees it.
export function say(text) {
  $("status").textContent = text;
}

// Hand a file to the person.
export function download(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const UPRIGHT = 0.005; // of the longer side that an outline's corners may lie beside those of the box around it

// Whether an outline, four corners x y in pixels of a picture of width x height, is turned or slanted.
function isTurned(outline, width, height) {
  const [xs, ys] = [0, 1].map((i) => outline.map((corner) => corner[i]));
  const around = [Math.min(...xs), Math.max(...xs)].flatMap((x) => [Math.min(...ys), Math.max(...ys)].map((y) => [x, y]));
  const away = ([x, y]) => Math.min(...outline.map((corner) => Math.hypot(corner[0] - x, corner[1] - y)));
  return Math.max(...around.map(away)) > UPRIGHT * Math.max(width, height);
}

// x y w h in pixels laid over a picture of width x height; in its place an outline that is turned.
export function overlay([x, y, w, h], width, height, kind = "", outline = null) {
  const share = (value, whole) => `${(100 * value) / whole}%`;
  const turned = outline !== null && isTurned(outline, width, height);
  const around = () => ["shade", "line"].map((name) => svg("polygon", { class: name, points: outline.join(" ") }));
  return el(
    "span",
    {
      class: `mark ${kind}${turned ? " turned" : ""}`,
      data: { box: [x, y, w, h].join(",") },
      style: { left: share(x, width), top: share(y, height), width: share(w, width), height: share(h, height) },
    },
    turned ? svg("svg", { viewBox: [x, y, w, h].join(" "), preserveAspectRatio: "none", "aria-hidden": "true" }, ...around()) : null,
  );
}

// All boxes of a result, the best last, so that it lies on top. `boxes` are the copies, where the server tells them.
// None where the file holds another picture than was indexed: they are of the old one.
export function overlays(result) {
  if (result.changed) return [];
  const copies = (result.boxes ?? []).slice(1).reverse();
  return [
    ...copies.map((copy) => overlay(copy.box, result.width, result.height, "copy", copy.outline)),
    overlay(result.box, result.width, result.height, "", result.outline),
  ];
}

export const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });

export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
