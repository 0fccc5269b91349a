// Which results are selected, by picture, so that a box that is drawn anew does not lose them; and what is done with them.

import { $, count, problem } from "./dom.js";
import { exportResults } from "./exports.js";
import { current, state } from "./state.js";

let last = null; // image_id of the one clicked last, from which Shift selects

export function select(result, isSelected, isRange = false) {
  const ids = state.results.map(({ image_id }) => image_id);
  const [from, to] = [ids.indexOf(isRange ? last : result.image_id), ids.indexOf(result.image_id)];
  const range = from < 0 ? [result] : state.results.slice(Math.min(from, to), Math.max(from, to) + 1);
  for (const one of range) {
    if (isSelected) state.selected.set(one.image_id, one);
    else state.selected.delete(one.image_id);
  }
  last = result.image_id;
  show();
}

// What is not among the results any more is not selected either; of the others it is the place found now that counts.
export function pruneSelection() {
  if (state.isSettled) {
    state.selected = new Map(state.results.filter(({ image_id }) => state.selected.has(image_id)).map((result) => [result.image_id, result]));
  }
  show();
}

export const selectedOrAll = () => (state.selected.size ? state.results.filter(({ image_id }) => state.selected.has(image_id)) : state.results);

function show() {
  const n = state.selected.size;
  $("selected").textContent = n ? `${n} selected` : "";
  $("export-words").textContent = n ? `${count(n, "selected result")}` : "All results shown";
  $("export").firstElementChild.textContent = n ? `Export ${n}` : "Export";
  $("unselect").hidden = !n;
  for (const box of $("results").querySelectorAll(".pick input")) {
    box.checked = state.selected.has(Number(box.closest(".cell").dataset.imageId));
  }
}

async function save(event) {
  const form = event.target.dataset.form;
  if (!form) return;
  $("export").open = false;
  try {
    await exportResults(form, selectedOrAll(), state.answer, current());
  } catch (error) {
    problem(error, () => save(event));
  }
}

function selectAll(event) {
  const isTyping = event.target.closest("input:not([type=checkbox]), textarea, dialog");
  if (event.key !== "a" || !(event.ctrlKey || event.metaKey) || isTyping || $("search").hidden || !state.results.length) return;
  event.preventDefault();
  state.selected = new Map(state.results.map((result) => [result.image_id, result]));
  show();
}

export function startSelection() {
  $("export").addEventListener("click", save);
  $("unselect").addEventListener("click", () => {
    state.selected.clear();
    show();
  });
  addEventListener("keydown", selectAll);
}
