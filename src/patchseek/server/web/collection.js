// The collection page: what it holds, what failed and why, adding folders and pictures with live progress.

import * as api from "./api.js";
import { choice, endless } from "./cards.js";
import { $, count, el, number, problem, say } from "./dom.js";

const PAGE = 60;

let choose = () => {};
let shownName = "";
let n = 0;
let loading = false;
let limit = Infinity; // bytes of one request

// ---- what it is

export async function showCollection() {
  const found = await api.collection();
  limit = 0.98 * found.limits.upload_bytes;
  $("collection-words").textContent =
    `${count(found.images, "picture")} · ${number(found.bytes / 1e6)} MB · ${found.encoder} on ${found.runs_on} · ${found.index} search` +
    (found.path ? ` · ${found.path}` : "");
  showFailures(found);
  $("folders").replaceChildren(
    ...found.folders.map((folder) =>
      el("div", { class: "folder" },
        el("span", {}, el("strong", { text: folder.name }), folder.path ? el("span", { class: "muted small block", text: folder.path }) : null),
        el("button", { type: "button", text: "Index", "aria-label": `Index the folder ${folder.name}`, on: { click: () => begin(() => api.indexFolder(folder.folder_id)) } }))),
  );
  await list(true);
  for (const job of await api.jobs()) if (["waiting", "running"].includes(job.state)) follow(job); // of other tabs too
}

function showFailures({ n_failures, failures }) {
  $("failures").hidden = !n_failures;
  $("failures").querySelector("summary").textContent = `${count(n_failures, "file")} could not be read`;
  $("failures").querySelector("tbody").replaceChildren(
    ...failures.map((failure) => el("tr", {}, el("td", { text: failure.image }), el("td", { text: failure.reason }))),
  );
}

async function list(again = false) {
  if (loading) return;
  loading = true;
  try {
    const page = await api.images(again ? 0 : n, PAGE, shownName);
    const cells = page.images.map((picture) => choice(picture, choose, remover(picture)));
    if (again) $("pictures").replaceChildren(...cells);
    else $("pictures").append(...cells);
    n = (again ? 0 : n) + page.images.length;
    $("more-pictures").hidden = n >= page.total || !page.images.length;
  } finally {
    loading = false;
  }
}

function remover(picture) {
  const button = el("button", { type: "button", class: "quiet icon small-icon", "aria-label": `Remove ${picture.image} from the collection`, text: "×" });
  let isAsked = false;
  button.addEventListener("click", () => {
    if (!isAsked) {
      isAsked = true;
      button.textContent = "Remove?";
      setTimeout(() => {
        isAsked = false;
        button.textContent = "×";
      }, 4000);
      return;
    }
    begin(() => api.removeImage(picture.image_id));
  });
  return button;
}

// ---- work in progress

const watched = new Map();

async function begin(request) {
  try {
    follow(await request());
  } catch (error) {
    problem(error);
  }
}

function follow(job) {
  if (watched.has(job.job_id)) return;
  const bar = el("progress", { max: "1", value: "0", "aria-label": `Progress of ${job.title}` });
  const words = el("span", { class: "muted small" });
  const cancel = el("button", { type: "button", text: "Cancel", on: { click: () => api.cancelJob(job.job_id).catch(problem) } });
  const close = el("button", { type: "button", class: "quiet icon", "aria-label": `Hide ${job.title}`, text: "×", hidden: true });
  const row = el("div", { class: "job" }, el("div", { class: "job-words" }, el("strong", { text: job.title }), words), bar, cancel, close);
  close.addEventListener("click", () => row.remove());
  $("jobs").prepend(row);
  let isOver = false;
  const heard = (record) => {
    if (isOver) return;
    row.dataset.state = record.state;
    if (record.state === "running" && !record.total) bar.removeAttribute("value"); // nobody knows how much there is
    else {
      bar.max = record.total || 1;
      bar.value = record.state === "done" ? bar.max : record.done;
    }
    words.textContent = sentence(record);
    isOver = ["done", "failed", "cancelled"].includes(record.state);
    if (!isOver) return;
    cancel.hidden = true;
    close.hidden = false;
    watched.delete(record.job_id);
    say(`${record.title}: ${sentence(record)}`);
    showCollection().catch(problem);
  };
  watched.set(job.job_id, api.watchJob(job.job_id, heard));
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
  const left = done > 3 && done < total ? `, ${count(Math.ceil((total - done) / rate), "second")} to go` : "";
  return total ? `${doing}: ${number(done)} of ${number(total)}${left}` : doing || "waiting";
}

// Send pictures, as many at a time as the server takes.
async function addFiles(files) {
  for (const file of files.filter((file) => file.size > limit)) {
    problem(`${file.name} is larger than the ${number(limit / 2 ** 20)} MB that this server takes; it is left out.`);
  }
  let group = [];
  let bytes = 0;
  const send = () => group.length && begin(() => api.addImages(group));
  for (const file of files.filter((file) => file.size <= limit)) {
    if (bytes + file.size > limit || group.length === 200) {
      await send();
      [group, bytes] = [[], 0];
    }
    group.push(file);
    bytes += file.size;
  }
  say(`Sending ${count(files.length, "picture")}`);
  await send();
}

// choose: what happens with a picture that is clicked.
export function startCollection(chosen) {
  choose = chosen;
  endless($("more-pictures"), () => list().catch(problem));
  let timer = 0;
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  $("filter-name").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      shownName = $("filter-name").value;
      list(true).catch(problem);
    }, 200);
  });
  $("add-pictures").addEventListener("click", () => $("add-files").click());
  $("add-files").addEventListener("change", async () => {
    const files = [...$("add-files").files];
    $("add-files").value = "";
    await addFiles(files);
  });
}
