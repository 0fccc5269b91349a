// What went wrong, said where it is seen: on the page, or inside the dialog that lies on top of it.

import { $, el } from "./dom.js";

const MOST = 4; // at once

// Whether the same may work at another time: what a server refuses for good is not worth a second try.
const mayPass = ({ status }) => !(status >= 400 && status < 500) || [408, 409, 429].includes(status);

// Show an error, or a sentence, until somebody dismisses it. retry: what to do to try again, where that may help.
// about: of what it is; see `fine`.
export function problem(error, retry = null, about = "") {
  const text = typeof error === "string" ? error : error.message;
  const row = el("div", { class: "problem-row", data: { about } }, el("span", { text }));
  if (retry && mayPass(error)) row.append(el("button", { type: "button", text: "Retry", on: { click: () => (dismiss(row), retry()) } }));
  row.append(el("button", { type: "button", class: "icon", "aria-label": "Dismiss", text: "×", on: { click: () => dismiss(row) } }));
  row.addEventListener("focusin", ({ relatedTarget }) => (row.cameFrom ??= relatedTarget));
  const place = $("problem");
  for (const other of [...place.children]) if (other.firstElementChild.textContent === text) other.remove();
  place.append(row);
  while (place.children.length > MOST) place.firstElementChild.remove();
  place.hidden = false;
  settle();
}

function dismiss(row) {
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  $("problem").hidden = !$("problem").children.length;
  if (hadFocus) row.cameFrom?.focus();
}

// Something works again: what was said about it is out of date.
export function fine(about) {
  for (const row of [...$("problem").children]) if (row.dataset.about === about) dismiss(row);
}

// A dialog makes all outside it dead, however high that lies; so problems are where they can be dismissed.
function settle() {
  const home = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  const place = $("problem");
  if (place.children.length && place.parentElement !== home) home.append(place);
}

for (const type of ["toggle", "close"]) document.addEventListener(type, settle, true);
