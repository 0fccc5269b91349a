// A row for what takes its time: how far it has come, a button that stops it, and at its end what failed and why.

import { count, el } from "./dom.js";

// In a place of the page. stop: what its Cancel button does.
export function progressRow(place, title, stop) {
  const bar = el("progress", { max: "1", value: "0", "aria-label": `Progress of ${title}` });
  const words = el("span", { class: "muted small" });
  const cancel = el("button", { type: "button", text: "Cancel", on: { click: stop } });
  const again = el("button", { type: "button", text: "Retry", hidden: true });
  const close = el("button", { type: "button", class: "quiet icon", "aria-label": `Hide ${title}`, text: "×", hidden: true, on: { click: () => row.remove() } });
  const row = el("div", { class: "job" }, el("div", { class: "job-words" }, el("strong", { text: title }), words), bar, cancel, again, close);
  place.prepend(row);
  return {
    row,

    // done, 0 to 1; null where nobody knows.
    show(done, text, state) {
      row.dataset.state = state;
      words.textContent = text;
      if (done === null) bar.removeAttribute("value");
      else bar.value = done;
    },

    // It is under way again, or over: for good, or until somebody says `retry`.
    end(isOver = true, retry = null) {
      cancel.hidden = isOver;
      close.hidden = !isOver;
      again.hidden = !retry;
      again.onclick = retry;
    },

    // Files that failed, {image, reason} each.
    list(failures) {
      row.querySelector(".failed")?.remove();
      if (!failures.length) return;
      const entries = failures.map(({ image, reason }) => el("li", {}, el("strong", { text: image }), ` ${reason}`));
      row.append(el("details", { class: "failed", open: true }, el("summary", { text: `${count(failures.length, "file")} left out` }),
        el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Left out of ${title}` }, el("ul", {}, ...entries))));
    },
  };
}
