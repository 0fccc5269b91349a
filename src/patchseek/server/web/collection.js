// The collection page: what it holds, what failed and why, its pictures, and the ways to add some.

import { addFiles, isPicture } from "./adding.js";
import * as api from "./api.js";
import { choice, endless } from "./cards.js";
import { $, count, el, number, problem } from "./dom.js";
import { dropped } from "./dropped.js";
import { follow, isUnderWay, start } from "./jobs.js";

const PAGE = 60;

let choose = () => {};
let shownName = "";
let n = 0;
let loading = false;

// ---- what it is

export async function showCollection() {
  const found = await api.collection();
  $("add-here").hidden = found.images > 0;
  $("filter").hidden = found.images === 0;
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

const listMore = () => list().catch((error) => problem(error, listMore));
const listAgain = () => list(true).catch((error) => problem(error, listAgain));

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

// Add what was dropped: pictures, and those in folders.
export async function addDropped(transfer) {
  const { files, ...others } = await dropped(transfer, isPicture);
  await addFiles(files, showCollection, others);
}

// Those of a chosen folder that are pictures.
function addFolder(files) {
  const wanted = files.filter((file) => !file.name.startsWith(".") && isPicture(file));
  return addFiles(wanted, showCollection, { nPassed: files.length - wanted.length });
}

// Have buttons choose files of an input, to be added.
function chooses(input, buttons, add) {
  for (const button of buttons) $(button).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    add(files);
  });
}

// choose: what happens with a picture that is clicked.
export function startCollection(chosen) {
  choose = chosen;
  endless($("more-pictures"), listMore);
  let timer = 0;
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  $("filter-name").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      shownName = $("filter-name").value;
      listAgain();
    }, 200);
  });
  chooses($("add-files"), ["add-pictures", "add-here-pictures"], (files) => addFiles(files, showCollection));
  chooses($("add-folder-files"), ["add-folder", "add-here-folder"], addFolder);
}
