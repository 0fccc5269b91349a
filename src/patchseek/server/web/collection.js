// The collection page: what it holds, what failed and why, adding folders and pictures with live progress.

import * as api from "./api.js";
import { choice, endless } from "./cards.js";
import { $, count, el, number, problem, say } from "./dom.js";
import { follow, isUnderWay, start } from "./jobs.js";

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
  for (const job of await api.jobs()) if (isUnderWay(job)) follow(job, $("jobs"), showCollection); // of other tabs too
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

const begin = (request) => start(request, $("jobs"), showCollection);

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
