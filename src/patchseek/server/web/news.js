// "3 new finds for 2 saved queries", said on every page: when it is opened, and when pictures have come.

import * as api from "./api.js";
import { $, count, say } from "./dom.js";
import { isUnderWay, onOver } from "./jobs.js";

let hidden = ""; // what was hidden

// In words; "" where there is none.
function newsOf(queries) {
  const some = queries.filter((query) => query.new);
  const n = some.reduce((sum, query) => sum + query.new, 0);
  return n ? `${count(n, "new find")} for ${count(some.length, "saved query", "saved queries")}` : "";
}

export async function showNews() {
  let queries = [];
  try {
    queries = await api.savedQueries();
  } catch {
    return; // nobody asked for it
  }
  const words = newsOf(queries);
  $("news").hidden = !words || words === hidden;
  if ($("news").hidden) return;
  if ($("news-words").textContent !== words) say(words);
  $("news-words").textContent = words;
}

// After pictures have come saved queries are asked: their job is there before the one that added them has ended.
async function followAsking({ kind }) {
  if (!["upload", "folder", "saved"].includes(kind)) return;
  try {
    const asking = (await api.jobs()).find((job) => job.kind === "saved" && isUnderWay(job));
    if (asking) api.watchJob(asking.job_id, (job) => isUnderWay(job) || showNews());
    else showNews();
  } catch {
    // the page says elsewhere that the server does not answer
  }
}

// judge: called to judge what is new.
export function startNews(judge) {
  $("news-go").addEventListener("click", () => {
    $("news").hidden = true;
    judge();
  });
  $("news-hide").addEventListener("click", () => {
    hidden = $("news-words").textContent;
    $("news").hidden = true;
  });
  onOver(followAsking);
  showNews();
}
