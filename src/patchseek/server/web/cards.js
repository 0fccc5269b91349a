// A wall of pictures: rows of equal height, every picture in its own shape, boxes laid over it.

import * as api from "./api.js";
import { el, overlays } from "./dom.js";
import { momentOf } from "./film.js";
import { asJudged, stamp } from "./stamps.js";

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

const END = 12; // letters of a name that are always seen: its number and what kind of file it is

// A name that is shortened in its middle, and the folder below it.
export function names(path) {
  const name = fileName(path);
  const cut = name.length > 2 * END ? name.length - END : name.length;
  const folder = path.slice(0, -name.length).replace(/\/$/, "");
  return [
    el("span", { class: "name", title: path }, el("span", { class: "head", text: name.slice(0, cut) }), el("span", { class: "tail", text: name.slice(cut) })),
    folder ? el("span", { class: "place", title: path, text: folder }) : null,
  ].filter(Boolean);
}

export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

// A picture of the collection that can be chosen.
export function choice(picture, chosen, extra = null) {
  return cell(
    picture,
    el("button", { class: "tile", type: "button", on: { click: () => chosen(picture) }, "aria-label": `Search with ${picture.image}` }, framed(picture, [])),
    el("div", { class: "caption" }, el("span", { class: "names" }, ...names(picture.image)), extra),
  );
}

// A result that can be opened, and selected where `select` says how. isLarge: with enough pixels for any screen.
export function resultCard(result, { open, select, selected, doubtful, isLarge }) {
  const sure = result.confidence ?? null;
  const surety = sure === null ? result.score.toFixed(2) : `${Math.round(100 * sure)} % sure`;
  const facts = result.changed ? "changed: index again" : surety;
  const moment = momentOf(result) ? `, at ${momentOf(result)}` : "";
  const name = `${result.rank}. ${result.image}${moment}, ${sure === null ? `score ${surety}` : surety}${result.is_query ? ", searched with" : ""}`;
  const isUnsure = sure !== null && sure < doubtful;
  const marks = overlays(asJudged(result));
  for (const mark of marks) mark.classList.toggle("unsure", isUnsure);
  return cell(
    result,
    el("button", { class: "tile", type: "button", on: { click: () => open(result) }, "aria-label": `Open ${name}` }, framed(result, marks, isLarge)),
    stamp(result),
    select
      ? el(
          "label",
          { class: "pick" },
          el("input", { type: "checkbox", checked: selected, on: { click: (event) => select(result, event.target.checked, event.shiftKey) }, "aria-label": `Select ${name}` }),
        )
      : null,
    el(
      "div",
      { class: "caption" },
      el("span", { class: "rank", text: String(result.rank) }),
      el("span", { class: "names" }, ...names(result.image)),
      momentOf(result) ? el("span", { class: "badge", text: `at ${momentOf(result)}` }) : null,
      result.is_query ? el("span", { class: "badge", text: "searched with" }) : null,
      result.is_new ? el("span", { class: "badge", text: "new" }) : null,
      el("span", { class: `score${isUnsure ? " unsure" : ""}`, text: facts }),
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
