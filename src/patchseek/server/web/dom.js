// Small helpers for the document. Text goes in as text: nothing here, or anywhere, parses a string as HTML.

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

// Say something to a screen reader; with `problem` everybody sees it, until the next thing works.
export function say(text) {
  $("status").textContent = text;
}

let hiding = 0;

export function problem(error) {
  const text = typeof error === "string" ? error : error.message;
  const place = $("problem");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(fine, 15000);
}

export function fine() {
  $("problem").hidden = true;
}

// Hand a file to the person.
export function download(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// x y w h in pixels laid over a picture of width x height.
export function overlay([x, y, w, h], width, height, kind = "") {
  const share = (value, whole) => `${(100 * value) / whole}%`;
  return el("span", {
    class: `mark ${kind}`,
    data: { box: [x, y, w, h].join(",") },
    style: { left: share(x, width), top: share(y, height), width: share(w, width), height: share(h, height) },
  });
}

// All boxes of a result, the best last, so that it lies on top. `boxes` are the copies, where the server tells them.
// None where the file holds another picture than was indexed: they are of the old one.
export function overlays(result) {
  if (result.changed) return [];
  const copies = (result.boxes ?? []).slice(1).map((copy) => copy.box ?? copy).reverse();
  return [
    ...copies.map((box) => overlay(box, result.width, result.height, "copy")),
    overlay(result.box, result.width, result.height),
  ];
}

export const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });

export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
