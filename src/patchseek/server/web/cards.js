// A wall of pictures: rows of equal height, every picture in its own shape, boxes laid over it.

import * as api from "./api.js";
import { el, overlays } from "./dom.js";

// The picture with its marks, large enough for the wall.
export function framed(picture, marks, large = true) {
  return el(
    "span",
    { class: "frame", style: { aspectRatio: `${picture.width} / ${picture.height}` } },
    el("img", { src: api.thumbnail(picture.image_id, large), alt: "", loading: "lazy", decoding: "async", width: picture.width, height: picture.height }),
    ...marks,
  );
}

// An entry of a wall; its share of the row follows the picture's shape.
export function cell(picture, ...children) {
  const ratio = Math.min(2.4, Math.max(0.5, picture.width / picture.height));
  const item = el("li", { class: "cell", data: { imageId: picture.image_id } }, ...children);
  item.style.setProperty("--ratio", ratio);
  return item;
}

export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

// A picture of the collection that can be chosen.
export function choice(picture, chosen, extra = null) {
  return cell(
    picture,
    el("button", { class: "tile", type: "button", on: { click: () => chosen(picture) }, "aria-label": `Search with ${picture.image}` }, framed(picture, [])),
    el("div", { class: "caption" }, el("span", { class: "name", text: fileName(picture.image), title: picture.image }), extra),
  );
}

// A result that can be opened and selected.
export function resultCard(result, { open, select, selected, doubtful }) {
  const sure = result.confidence ?? null;
  const surety = sure === null ? result.score.toFixed(2) : `${Math.round(100 * sure)} % sure`;
  const facts = result.changed ? "changed: index again" : surety;
  const name = `${result.rank}. ${result.image}, ${sure === null ? `score ${surety}` : surety}`;
  const isUnsure = sure !== null && sure < doubtful;
  const marks = overlays(result);
  for (const mark of marks) mark.classList.toggle("unsure", isUnsure);
  return cell(
    result,
    el("button", { class: "tile", type: "button", on: { click: () => open(result) }, "aria-label": `Open ${name}` }, framed(result, marks)),
    el(
      "label",
      { class: "pick" },
      el("input", { type: "checkbox", checked: selected, on: { change: (event) => select(result, event.target.checked) }, "aria-label": `Select ${name}` }),
    ),
    el(
      "div",
      { class: "caption" },
      el("span", { class: "rank", text: String(result.rank) }),
      el("span", { class: "name", text: fileName(result.image), title: result.image }),
      el("span", { class: `score${isUnsure ? " unsure" : ""}`, text: facts, title: `score ${result.score.toFixed(4)}` }),
    ),
  );
}

// Ask for more whenever the button at the end comes into view; the button itself works too.
export function endless(button, more) {
  button.addEventListener("click", more);
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && !button.hidden) more();
  }, { rootMargin: "600px" }).observe(button);
}
