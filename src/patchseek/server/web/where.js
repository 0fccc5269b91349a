// Which pictures may answer: of a folder or pattern, with a tag, changed between two days.

import { $, el } from "./dom.js";

const FIELDS = { under: "under", tags: "tag", since: "since", until: "until" };

// The fields of a search that were filled in.
export function where() {
  const said = Object.entries(FIELDS).map(([name, id]) => [name, $(id).value.trim()]);
  return Object.fromEntries(said.filter(([, value]) => value));
}

// Make the fields ready; `changed` is called when one of them has another value.
export function startWhere(collection, changed) {
  $("where").hidden = !Object.keys(FIELDS).every((name) => collection.features[name]);
  $("tags").replaceChildren(...collection.tags.map((tag) => el("option", { value: tag })));
  $("where").addEventListener("change", changed);
}
