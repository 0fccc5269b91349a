// How it is looked for: switches, words, limits. What the server does not offer is not shown.

import { $, el } from "./dom.js";
import { features, state } from "./state.js";
import { where } from "./where.js";

// name of the field, words, whether it is on by default, what is sent when it is not as by default
const SWITCHES = [
  ["refine", "Finer boxes", true, 0],
  ["several", "Several copies in a picture", false, true],
  ["distinct", "Near-duplicates once", false, true],
  ["mirrored", "Mirrored, too", false, true],
];
const switches = new Map();

// What differs from the defaults: fields of a search, which the address holds as well.
export function chosen() {
  const fields = where();
  if (features().text && $("text").value.trim()) fields.text = $("text").value.trim();
  for (const [name, , isOn, value] of SWITCHES) {
    const box = switches.get(name);
    if (box && box.checked !== isOn) fields[name] = value;
  }
  return fields;
}

// All fields of a search but its pictures.
export function options() {
  const fields = chosen();
  if (features().why) fields.why = true;
  if (state.exclude.length) fields.exclude = state.exclude.map((picture) => picture.image_id);
  return fields;
}

// Set the switches and words as an address says.
export function choose(fields) {
  $("text").value = fields.get("text") ?? "";
  for (const [name, , isOn] of SWITCHES) {
    const box = switches.get(name);
    if (box) box.checked = fields.has(name) ? !isOn : isOn;
  }
}

export function startOptions(changed) {
  for (const [name, words, isOn] of SWITCHES.filter(([name]) => features()[name])) {
    switches.set(name, el("input", { type: "checkbox", id: `option-${name}`, checked: isOn, on: { change: changed } }));
    $("options").append(el("label", { class: "switch" }, switches.get(name), words));
  }
  $("options").hidden = !switches.size;
  $("words").hidden = !features().text;
  $("words").addEventListener("submit", (event) => {
    event.preventDefault();
    changed();
  });
}
