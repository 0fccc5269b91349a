// Work in progress: a row for each job, with how far it has come, wherever it is shown.

import * as api from "./api.js";
import { count, el, number, problem, say } from "./dom.js";

const watched = new Map();

export const isUnderWay = ({ state }) => ["waiting", "running"].includes(state);

// Ask for a job, and follow it.
export async function start(request, place, over) {
  try {
    follow(await request(), place, over);
  } catch (error) {
    problem(error);
  }
}

// Show a job in a place until it is hidden there; `over` is called when a part of it has ended, and at its end.
export function follow(job, place, over) {
  const key = `${place.id} ${job.job_id}`;
  if (watched.has(key)) return;
  const bar = el("progress", { max: "1", value: "0", "aria-label": `Progress of ${job.title}` });
  const words = el("span", { class: "muted small" });
  const cancel = el("button", { type: "button", text: "Cancel", on: { click: () => api.cancelJob(job.job_id).catch(problem) } });
  const close = el("button", { type: "button", class: "quiet icon", "aria-label": `Hide ${job.title}`, text: "×", hidden: true });
  const row = el("div", { class: "job" }, el("div", { class: "job-words" }, el("strong", { text: job.title }), words), bar, cancel, close);
  close.addEventListener("click", () => row.remove());
  place.prepend(row);
  let isOver = false;
  let doing = "";
  const heard = (record) => {
    if (isOver) return;
    if (doing && record.doing !== doing) over().catch(problem); // what is there by now can be used
    doing = record.doing;
    row.dataset.state = record.state;
    if (record.state === "running" && !record.total) bar.removeAttribute("value"); // nobody knows how much there is
    else {
      bar.max = record.total || 1;
      bar.value = record.state === "done" ? bar.max : record.done;
    }
    words.textContent = sentence(record);
    isOver = !isUnderWay(record);
    if (!isOver) return;
    cancel.hidden = true;
    close.hidden = false;
    watched.delete(key);
    say(`${record.title}: ${sentence(record)}`);
    over().catch(problem);
  };
  watched.set(key, api.watchJob(job.job_id, heard));
  heard(job);
}

function sentence({ kind, state, doing, done, total, doing_seconds, error, report, failures }) {
  if (state === "waiting") return "waiting";
  if (state === "failed") return error;
  if (state === "cancelled") return "cancelled; what was finished is kept";
  if (state === "done") {
    if (kind === "remove") return "removed, also of later indexing";
    const { added, changed, unchanged, removed } = report;
    const parts = [[added, "added"], [changed, "changed"], [unchanged, "unchanged"], [removed, "removed"], [failures.length, "failed"]];
    return parts.filter(([k]) => k).map(([k, what]) => `${number(k)} ${what}`).join(", ") || "nothing to do";
  }
  const rate = done / Math.max(doing_seconds, 0.1);
  const left = done > 3 && done < total ? `, ${duration((total - done) / rate)} to go` : "";
  return total ? `${doing}: ${number(done)} of ${number(total)}${left}` : doing || "waiting";
}

function duration(seconds) {
  if (seconds < 90) return count(Math.ceil(seconds), "second");
  return seconds < 5400 ? count(Math.round(seconds / 60), "minute") : `${number(seconds / 3600)} hours`;
}
