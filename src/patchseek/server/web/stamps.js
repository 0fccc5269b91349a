// What was said of a find, as it is drawn: the small mark on its card, and the box that somebody has corrected.

import { el, overlays } from "./dom.js";

const SIGNS = { yes: "✓", no: "✕", unsure: "?" };

export function stamp({ verdict }) {
  return el("span", { class: "stamp", role: "img", hidden: !verdict, text: SIGNS[verdict] ?? "", "aria-label": `Judged ${verdict}`, data: { verdict: verdict ?? "" } });
}

// The result with the box that was judged, where that is another one than was found.
export function asJudged(result) {
  const isCorrected = result.judged_box && String(result.judged_box) !== String(result.box);
  return isCorrected ? { ...result, box: result.judged_box, outline: null, boxes: null } : result;
}

// Mark the card of a result anew.
export function restamp(cell, result) {
  cell.querySelector(".stamp")?.replaceWith(stamp(result));
  for (const mark of cell.querySelectorAll(".mark")) mark.remove();
  cell.querySelector(".frame").append(...overlays(asJudged(result)));
}
