// Opens the pages and wires what belongs to all of them: addresses, colours, dropping and pasting.

import * as api from "./api.js";
import { startArriving } from "./arrive.js";
import { addDropped, showCollection, startCollection } from "./collection.js";
import { $, problem } from "./dom.js";
import { startEasel } from "./easel.js";
import { judgeSearch, startJudging } from "./judge.js";
import { searchFiles, searchPicture } from "./asked.js";
import { startFinds } from "./finds.js";
import { showSaved, startSaved } from "./saved.js";
import { startSaving } from "./saving.js";
import { follow, showStart, startSearch } from "./search.js";
import { state } from "./state.js";
import { startMenus } from "./menus.js";
import { startVerdicts } from "./verdicts.js";
import { startViewer } from "./viewer.js";

const PAGES = { search: "Search", collection: "Collection", queries: "Saved", judge: "How good is it here?" };

function showPage() {
  const name = location.hash.slice(1) in PAGES ? location.hash.slice(1) : "search";
  for (const page of Object.keys(PAGES)) $(page).hidden = page !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${PAGES[name]} · patchseek`;
  window.scrollTo(0, 0);
  const show = () => ({ collection: showCollection, queries: showSaved, search: showStart })[name]?.().catch((error) => problem(error, show));
  show();
}

// ---- light and dark: as the system says, until the button says otherwise

function startColours() {
  const root = document.documentElement;
  const kept = recall();
  if (kept) root.dataset.colours = kept;
  $("theme").addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.colours = (root.dataset.colours ?? system) === "dark" ? "light" : "dark";
    remember(root.dataset.colours);
  });
}

// A browser may refuse to keep anything, and says so with an exception.
function recall() {
  try {
    return localStorage.getItem("colours");
  } catch {
    return null;
  }
}

function remember(colours) {
  try {
    localStorage.setItem("colours", colours);
  } catch {
    // then it is chosen again next time
  }
}

// ---- a picture may be dropped anywhere and pasted at any time: to search with it; on the collection's page, to add it

function startDropping() {
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  const isAddress = (event) => [...(event.dataTransfer?.types ?? [])].includes("text/uri-list");
  addEventListener("dragover", (event) => isAddress(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) {
      if (!isAddress(event)) return;
      event.preventDefault();
      problem("That is the address of a picture, not the picture: this page fetches nothing from elsewhere. Save the picture and drop its file, or copy it and paste it here.");
      return;
    }
    event.preventDefault();
    depth = 0;
    mark(0);
    if ($("collection").hidden) search(event.dataTransfer.files);
    else addDropped(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) search(event.clipboardData.files);
  });
}

function search(files) {
  location.hash = "#search";
  searchFiles(files);
}

startColours();
startMenus();
startEasel();
startArriving();
startVerdicts();
startViewer();
startJudging();
startCollection((picture) => searchPicture(picture));
$("judge-these").addEventListener("click", () => {
  if (state.queries.length) judgeSearch(state);
  else problem("Results of words alone cannot be judged: search with a picture.");
});
startSaving();
startSaved();
startFinds();
addEventListener("hashchange", showPage);
showPage();
try {
  startSearch(await api.collection());
  startDropping();
  await follow();
  document.body.dataset.ready = "true";
} catch (error) {
  problem(error, () => location.reload());
}
