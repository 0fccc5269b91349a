// The offer to index what is in the owner's folders and not indexed yet, where a search begins.

import * as api from "./api.js";
import { $, count, el, number } from "./dom.js";
import { follow, isUnderWay, start } from "./jobs.js";

const FRESH_MS = 30000; // a folder is not looked through at every turn of the page: it may be large

let looks = [];
let looked = -Infinity;

// Show it, or the work that is under way; `over` is called when such work has ended. Returns whether there is any.
export async function showOffer(over) {
  const found = await api.collection();
  const jobs = (await api.jobs()).filter(isUnderWay);
  for (const job of jobs) follow(job, $("offer-jobs"), over);
  if (jobs.length) [looks, looked] = [[], -Infinity];
  else if (performance.now() - looked > FRESH_MS) [looks, looked] = [await Promise.all(found.folders.map(look)), performance.now()];
  const offers = looks.filter(({ n_new }) => n_new).map((folder) => offer(folder, found, over));
  $("offer").replaceChildren(...offers);
  return jobs.length + offers.length > 0;
}

// A folder with how much of it is new; of one that cannot be looked into, nothing.
async function look(folder) {
  try {
    return { ...folder, ...(await api.folder(folder.folder_id)) };
  } catch {
    return { ...folder, n_new: 0 };
  }
}

function offer({ folder_id, name, path, n_new, bytes_new }, found, over) {
  const pictures = count(n_new, found.images ? "new picture" : "picture");
  const where = found.path ? ` in ${found.path}` : "";
  return el("div", { class: "offer" },
    el("div", { class: "job-words" },
      el("strong", { text: `${pictures} in ${path ?? name} ${n_new === 1 ? "is" : "are"} not indexed` }),
      el("span", { class: "muted small", text: `What is not indexed cannot be found. The pictures are only read; what is noted of them takes about ${size(bytes_new)}${where}.` })),
    el("button", { type: "button", class: "primary", text: `Index ${pictures}`, on: { click: (event) => {
      event.target.disabled = true;
      start(() => api.indexFolder(folder_id), $("offer-jobs"), over).finally(() => showOffer(over));
    } } }));
}

const size = (bytes) => (bytes < 1e9 ? `${number(Math.ceil(bytes / 1e6))} MB` : `${number(bytes / 1e9)} GB`);
