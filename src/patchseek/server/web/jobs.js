// Work in progress: a row for each job, with how far it has come, wherever it is shown.

import * as api from "./api.js";
import { count, number, problem, say } from "./dom.js";
import { progressRow } from "./progress.js";

const watched = new Map(); // place and job -> its end

const listeners = [];

// listener(job) is called when a job that is followed here has ended.
export const onOver = (listener) => listeners.push(listener);

export const isUnderWay = ({ state }) => ["waiting", "running"].includes(state);

// Ask for a job, and follow it.
export async function start(request, place, over) {
  try {
    follow(await request(), place, over);
  } catch (error) {
    problem(error, () => start(request, place, over));
  }
}

// Show a job in a place until it is hidden there; `over` is called when a part of it has ended, and at its end.
// Returns a promise that is kept when it has ended.
export function follow(job, place, over) {
  const key = `${place.id} ${job.job_id}`;
  if (!watched.has(key)) watched.set(key, new Promise((ended) => watch(job, place, over, () => (watched.delete(key), ended()))));
  return watched.get(key);
}

function watch(job, place, over, ended) {
  const cancel = () => api.cancelJob(job.job_id).catch((error) => problem(error, cancel));
  const row = progressRow(place, job.title, cancel);
  const refresh = () => over().catch((error) => problem(error, refresh));
  let isOver = false;
  let doing = "";
  const heard = (record) => {
    if (isOver) return;
    if (doing && record.doing !== doing) refresh(); // what is there by now can be used
    doing = record.doing;
    const done = record.state === "done" ? 1 : record.done / (record.total || 1);
    row.show(record.state === "running" && !record.total ? null : done, sentence(record), record.state);
    isOver = !isUnderWay(record);
    if (!isOver) return;
    row.end();
    if (["upload", "saved"].includes(record.kind)) row.list(record.failures); // those of a folder are listed with the collection
    say(`${record.title}: ${sentence(record)}`);
    refresh();
    for (const listener of listeners) listener(record);
    ended();
  };
  api.watchJob(job.job_id, heard);
  heard(job);
}

function sentence({ kind, state, doing, done, total, doing_seconds, error, report, failures }) {
  if (state === "waiting") return "waiting";
  if (state === "failed") return error;
  if (state === "cancelled") return "cancelled; what was finished is kept";
  if (state === "done") {
    if (kind === "saved") return report.new ? count(report.new, "new find") : report.looked_at ? "nothing new" : "all pictures have been looked at before";
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
