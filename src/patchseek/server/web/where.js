// Which pictures may answer: of a folder or pattern, with a tag, changed between two days. What is set stands as chips.

import * as api from "./api.js";
import { $, el, problem } from "./dom.js";

// field of a search: id of the input
export const FIELDS = { under: "under", tags: "tag", since: "since", until: "until" };
const WORDS = { under: "in", tags: "tagged", since: "changed from", until: "changed until" };

let changed = () => {};

// The fields of a search that were filled in.
export function where() {
  const said = Object.entries(FIELDS).map(([name, id]) => [name, $(id).value.trim()]);
  return Object.fromEntries(said.filter(([, value]) => value));
}

// Set one of them.
export function limit(name, value) {
  $(FIELDS[name]).value = value;
}

// Those that are set, for people.
export const limitsInWords = () => Object.entries(where()).map(([name, value]) => `${WORDS[name]} ${value}`).join(", ");

// Show those that are set, each with a cross. Returns whether there are any.
export function showLimits() {
  const said = Object.entries(where());
  $("limits").replaceChildren(...said.map(([name, value]) => {
    const words = `${WORDS[name]} ${value}`;
    const drop = () => {
      limit(name, "");
      changed();
    };
    return el("span", { class: "limit" }, words, el("button", { type: "button", class: "quiet icon", text: "×", "aria-label": `No longer only ${words}`, on: { click: drop } }));
  }));
  return said.length > 0;
}

// Make the fields ready; `onChange` is called when one of them has another value.
export function startWhere(collection, onChange) {
  changed = onChange;
  $("where").hidden = !Object.keys(FIELDS).every((name) => collection.features[name]);
  $("where").addEventListener("change", changed);
  $("where").addEventListener("toggle", () => $("where").open && offer().catch(problem));
}

// Folders and tags to pick from, as they are now.
async function offer() {
  const { folders, tags } = await api.places();
  for (const [id, values] of [["places", folders], ["tags", tags]]) $(id).replaceChildren(...values.map((value) => el("option", { value })));
}
