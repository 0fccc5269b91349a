// The search page: joins what is looked for at the left, asking, and what was found at the right.

import * as address from "./address.js";
import * as api from "./api.js";
import { ask, forget, more } from "./ask.js";
import { clearQueries, searchFiles, searchPicture, showQuery, startAsked } from "./asked.js";
import { choice, endless } from "./cards.js";
import { $, problem } from "./dom.js";
import { showOffer } from "./offer.js";
import { startOptions } from "./options.js";
import { openResult, returnTo, reviewResults, startResults } from "./results.js";
import { startSelection } from "./selection.js";
import { features, state } from "./state.js";
import { seen } from "./viewer.js";
import { startWhere } from "./where.js";

// Show some of the collection to begin with, as long as nothing has been asked.
export async function showStart() {
  if ($("start").hidden) return;
  const { total, images } = await api.images(0, 18);
  $("start-pictures").replaceChildren(...images.map((picture) => choice(picture, searchPicture)));
  $("start-title").hidden = !total;
  $("start-words").textContent = total
    ? "Pictures of this collection. Choose one to find what else shows the same thing."
    : "";
  const isOffered = await showOffer(showStart);
  $("start-empty").hidden = total > 0 || isOffered;
}

function beginAgain() {
  forget();
  [state.answer, state.asked, state.results] = [null, [], []];
  state.selected.clear();
  clearQueries();
  $("answers").hidden = true;
  $("start").hidden = false;
  showStart().catch(problem);
}

function startAgain() {
  beginAgain();
  history.pushState({}, "", location.pathname + location.hash);
  $("choose-file").focus();
}

// ---- what the address says

// Ask what the address asks, unless that is what is shown; open the find that it names, or close the view.
export async function follow() {
  if (address.isOwn()) return;
  try {
    if (!address.isShown()) await askAddress();
    show(address.opened());
  } catch (error) {
    problem(error, follow);
  }
}

async function askAddress() {
  const { queries, exclude } = await address.asked();
  [state.queries, state.exclude, state.active, state.isUnfolded] = [queries, exclude, 0, false];
  if (!queries.length && !$("text").value) return beginAgain();
  showQuery();
  await ask({ isKept: true });
}

function show(imageId) {
  const result = state.results.find(({ image_id }) => image_id === imageId);
  if (result && !$("viewer").open) openResult(result);
  else if (!imageId && $("viewer").open && !address.saved().find) $("viewer").close();
}

// ---- start

// Make the page ready; `collection` is what /api/collection answered.
export function startSearch(collection) {
  state.collection = collection;
  $("another").hidden = !features().several_queries;
  startAsked(ask);
  startOptions(() => ask());
  startWhere(collection, () => ask());
  startSelection();
  startResults();
  let adding = false;
  const choose = (add) => () => {
    adding = add;
    $("file").click();
  };
  $("file").multiple = true;
  $("choose-file").addEventListener("click", choose(false));
  $("another").addEventListener("click", choose(true));
  $("file").addEventListener("change", async () => {
    await searchFiles($("file").files, adding);
    $("file").value = "";
  });
  $("new").addEventListener("click", startAgain);
  $("viewer").addEventListener("close", () => {
    address.close();
    returnTo(seen());
  });
  $("review-these").addEventListener("click", reviewResults);
  addEventListener("popstate", follow);
  endless($("more"), more);
}
