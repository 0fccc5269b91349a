// Text on the clipboard. Browsers lend theirs to pages from this machine or over TLS; elsewhere the old way must do: a
// field in a place that can have the focus, such as the dialog that is open.

import { el } from "./dom.js";

export async function copy(text, place) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { class: "sr-only", "aria-hidden": "true" });
  area.value = text;
  place.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
