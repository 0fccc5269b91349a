// What was found, at the right: a wall of cards that does not move beneath the pointer, the sure ones first.

import { open as openAddress, opened } from "./address.js";
import { arrive } from "./arrive.js";
import { excludePicture, searchPicture } from "./asked.js";
import { resultCard } from "./cards.js";
import { $, count, el } from "./dom.js";
import { more } from "./ask.js";
import { pruneSelection, select } from "./selection.js";
import { restamp } from "./stamps.js";
import { current, doubtful, features, state } from "./state.js";
import { onVerdict } from "./verdicts.js";
import { openViewer } from "./viewer.js";
import { showLimits } from "./where.js";

const NEAREST = 8; // shown though none is sure

// ---- when cards may move

let pointed = -Infinity; // when the pointer last moved over the cards; one that only lies there does not count

export function startResults() {
  $("results").addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") pointed = performance.now();
  });
}

// Whether somebody has pointed at cards since a moment, and still does, or looks at one.
export function isHeld(since) {
  return $("viewer").open || (pointed > since && $("results").matches(":hover"));
}

// Resolves when nobody does; at once where cards may move.
export function whenFree(since, signal) {
  return new Promise((resolve) => {
    const look = () => {
      if (isHeld(since) && !signal.aborted) return;
      $("results").removeEventListener("pointerleave", look);
      $("viewer").removeEventListener("close", look);
      resolve();
    };
    $("results").addEventListener("pointerleave", look);
    $("viewer").addEventListener("close", look);
    signal.addEventListener("abort", look);
    look();
  });
}

// ---- the wall

export function showResults(seconds) {
  const total = state.answer.collection.images;
  const among = showLimits() ? "the pictures that may answer" : count(total, "picture");
  const title = state.results.length ? "Results" : "Nothing found";
  $("answers-title").textContent = total ? title : "Nothing to search yet";
  $("answers-words").textContent = total
    ? `Best of ${among}, in ${seconds.toFixed(seconds < 1 ? 2 : 1)} s`
    : "This collection has no pictures. Add some on the Collection page.";
  const best = state.results[0];
  const sure = best?.confidence ?? null;
  // of those that were not looked at closely, many are no surer though it is there
  $("verdict").hidden = sure === null || sure >= doubtful() || !best.refined;
  $("verdict").textContent = "Probably not here. These are the pictures that come nearest.";
  $("review-these").disabled = !state.isSettled || !best;
  pruneSelection();
  draw();
  arrive(seconds, Boolean(current()?.box ?? $("text").value));
}

// A question without an answer leaves none of the one before standing.
export function clearResults() {
  [state.answer, state.results] = [null, []];
  $("answers-title").textContent = "Nothing found";
  $("answers-words").textContent = "";
  $("verdict").hidden = $("more").hidden = $("review-these").disabled = true;
  showLimits();
  pruneSelection();
  draw();
}

// Further results: those that are there stay as they are, unless what is sure ends elsewhere now or is folded.
export function addResults(results) {
  const [before, n] = [firstDoubtful(), state.results.length];
  state.results.push(...results);
  const at = firstDoubtful();
  const isSame = at === before || (before === n && at === state.results.length);
  if (isSame && (state.isUnfolded || at === state.results.length)) $("results").querySelector(".wall:last-child").append(...results.map(card));
  else draw();
}

// Draw all anew; what had the focus has it still.
function draw() {
  const focused = document.activeElement?.closest?.("#results .cell")?.dataset.imageId;
  const at = firstDoubtful();
  const [sure, others] = [state.results.slice(0, at), state.results.slice(at)];
  const isFolded = others.length > 0 && !state.isUnfolded;
  $("results").replaceChildren(wall(sure), ...(others.length ? [fold(others.length)] : []), ...(others.length && !isFolded ? [wall(others)] : []));
  $("answers").toggleAttribute("data-folded", isFolded);
  later.disconnect();
  if (!state.isSettled) loadSeen($("results").querySelectorAll(".cell img"));
  if (focused) $("results").querySelector(`[data-image-id="${focused}"] button`)?.focus();
}

const later = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter(({ isIntersecting }) => isIntersecting)) {
    target.src = target.dataset.src;
    later.unobserve(target);
  }
});

// Of an answer that is not settled only what is on the screen is loaded, and small: others may stand there soon, and
// whoever still refines it wants the cores.
function loadSeen(images) {
  const below = [...images].filter((image) => image.getBoundingClientRect().top > innerHeight);
  for (const image of below) {
    image.dataset.src = image.src;
    image.removeAttribute("src");
    later.observe(image);
  }
}

const wall = (results) => el("ul", { class: "wall" }, ...results.map(card));

// Where those begin that are probably others. Of none that are sure the nearest are shown.
function firstDoubtful() {
  const at = state.results.findIndex(({ confidence }) => (confidence ?? 1) < doubtful());
  if (at < 0) return state.results.length;
  return at > 0 && state.isSettled ? at : Math.max(at, Math.min(NEAREST, state.results.length));
}

function fold(n) {
  const toggle = () => {
    state.isUnfolded = !state.isUnfolded;
    draw();
    $("results").querySelector(".fold button").focus();
  };
  const words = state.isUnfolded ? "Hide them" : `Show ${$("more").hidden ? "" : "more than "}${count(n, "other")}`;
  return el("div", { class: "fold" }, el("span", { text: "Doubtful from here" }),
    el("button", { type: "button", text: words, "aria-expanded": String(state.isUnfolded), on: { click: toggle } }));
}

function card(result) {
  const selected = state.selected.has(result.image_id);
  return resultCard(result, { open: openResult, select, selected, doubtful: doubtful(), isLarge: state.isSettled });
}

// isReview: to judge it and those that follow.
export function openResult(result, isReview = false) {
  openAddress(result.image_id);
  const tools = {
    features: features(),
    asked: state.asked,
    searchRegion: searchPicture,
    exclude: excludePicture,
    more,
    hasMore: () => !$("more").hidden,
    nSure: firstDoubtful,
    queryKey: state.answer.query_key,
    turned: ({ image_id }) => opened() && openAddress(image_id),
  };
  openViewer(state.results, state.results.indexOf(result), tools, isReview);
}

// Judge the results one after another, from the first of which nobody has said anything.
export function reviewResults() {
  openResult(state.results.find(({ verdict }) => !verdict) ?? state.results[0], true);
}

onVerdict(({ query_key, image_id }) => {
  if (!image_id || query_key !== state.answer?.query_key) return;
  const result = state.results.find((one) => one.image_id === image_id);
  const cell = $("results").querySelector(`[data-image-id="${image_id}"]`);
  if (cell && result) restamp(cell, result);
});

// Show a card, also one that is folded, and let the keyboard go on from there.
export function returnTo(imageId) {
  const at = state.results.findIndex(({ image_id }) => image_id === imageId);
  if (at >= firstDoubtful() && !state.isUnfolded) {
    state.isUnfolded = true;
    draw();
  }
  const tile = $("results").querySelector(`[data-image-id="${imageId}"] .tile`);
  tile?.focus({ preventScroll: true });
  tile?.scrollIntoView({ block: "nearest" });
}
