// The full view of a result: turn to the next, whole or beside what was asked or why it was found; search a part of it.

import * as api from "./api.js";
import { Boxer } from "./boxer.js";
import { names } from "./cards.js";
import { copy } from "./clipboard.js";
import { compareSheet } from "./compare.js";
import { $, el, overlays, problem } from "./dom.js";
import { offerFilm, timesOf } from "./film.js";
import { onKeys } from "./keys.js";
import { fetchAhead, large } from "./picture.js";
import { beginReview, reviewKeys, showReview, startReview } from "./review.js";
import { asJudged } from "./stamps.js";
import { onSwipe } from "./swipe.js";
import { countOf, whySheet } from "./why.js";
import { Zoom } from "./zoom.js";

const AHEAD = 12; // results that are there before they are turned to
const MOST = 240; // results that are fetched to know how many are sure; the server has so many at once
const REST_MS = 300; // until the address says which find is shown

let shown = null; // {results, at, tools}
let way = "whole"; // how it is shown: or "compare", or "why"
let comparing = null; // whether what was asked is to stand beside, where somebody has said so
let wayBack = "whole"; // how it is shown when that is over
let boxer = null; // a box that is being drawn
let lens = null;
let fetching = false;
let timer = 0;

const result = () => shown.results[shown.at];
const asked = () => result().asked ?? shown.tools.asked; // in a walk each find has its own query

// The picture that is shown, or was last.
export const seen = () => (shown ? result().image_id : null);

// tools: see results.js. isReview: to judge them, one after another.
export function openViewer(results, at, tools, isReview = false) {
  if (shown?.results !== results) beginReview(tools.queryKey);
  shown = { results, at, tools };
  way = (comparing ?? isReview) && asked().length ? "compare" : "whole";
  if (!$("viewer").open) $("viewer").showModal();
  $("viewer-stage").focus();
  show();
}

// words: what has just been done, for who hears the page.
function show(words = "") {
  if (boxer) [way, boxer] = [wayBack, null];
  if (!asked().length) way = "whole";
  const { image, verdict } = result();
  $("viewer-name").replaceChildren(...names(image));
  $("viewer-name").title = image;
  const facts = showFacts();
  const stage = $("viewer-stage");
  const sheet = SHEETS[way](result(), asked(), [stage.clientWidth, stage.clientHeight]);
  stage.replaceChildren(sheet, ...(way === "why" ? [el("p", { class: "why-words", text: countOf(result()) })] : []));
  lens.sheet = sheet;
  lens.fit();
  $("viewer-prev").disabled = shown.at === 0;
  $("viewer-next").disabled = shown.at === shown.results.length - 1 && !shown.tools.hasMore();
  $("region").hidden = false;
  $("region-go").hidden = true;
  $("why").hidden = !canSayWhy();
  $("compare").hidden = !asked().length;
  for (const each of ["why", "compare"]) $(each).setAttribute("aria-pressed", String(way === each));
  $("exclude-this").hidden = !shown.tools.features.exclude;
  offerFilm(result());
  $("open-folder").hidden = !shown.tools.features.open_folder;
  $("copy-path").textContent = shown.tools.features.paths ? "Copy path" : "Copy name";
  showReview();
  $("viewer-status").textContent = `${words}${image}, ${facts}${verdict ? `, judged ${verdict}` : ""}${way === "why" ? `, ${countOf(result())}` : ""}`;
  if (document.activeElement?.disabled || document.activeElement === document.body) stage.focus();
  const isNext = (one) => !(shown.tools.isWalk && one.verdict);
  for (const next of shown.results.slice(shown.at + 1).filter(isNext).slice(0, 2)) fetchAhead(next.image_id);
  fetchResults();
}

// Which of how many it is, and how sure; returns both in words.
function showFacts() {
  const { width, height, score, confidence, changed } = result();
  const isKnown = confidence !== undefined && confidence !== null;
  const surety = isKnown ? `${Math.round(100 * confidence)} % sure` : `score ${score.toFixed(3)}`;
  const sure = changed ? "changed since it was indexed: index again" : surety;
  const why = way === "why" && isKnown ? ` · score ${score.toFixed(3)}` : "";
  const place = shown.tools.placeOf?.(result(), shown.at) ?? `${shown.at + 1} of ${ofHowMany()}`;
  $("viewer-facts").textContent = `${place} · ${sure}${why} · ${timesOf(result())}${width} × ${height}`;
  return `${place}, ${sure}`;
}

// Of those that are sure, as long as it is one of them; a plus where there may be more.
function ofHowMany() {
  const { results, at, tools } = shown;
  const [all, sure] = [results.length, tools.nSure()];
  const more = tools.hasMore() ? "+" : "";
  if (at < sure && sure < all) return String(sure);
  return `${all}${more}${at >= sure ? ", doubtful" : ""}`;
}

// Further pages of the answer, so that nobody waits at the end of one and it is known how many are sure.
async function fetchResults() {
  const { results, at, tools } = shown;
  const isWanted = () => results.length - at <= AHEAD || (tools.nSure() === results.length && results.length < MOST);
  if (fetching || !tools.hasMore() || !isWanted()) return;
  fetching = true;
  const before = results.length;
  await tools.more();
  fetching = false;
  if (shown?.results !== results || !$("viewer").open || results.length === before) return;
  showFacts();
  $("viewer-next").disabled = shown.at === results.length - 1;
  fetchResults();
}

// Who judges compares, unless somebody has said otherwise.
function compareFromNowOn() {
  if (comparing === null && !boxer && way === "whole" && asked().length) way = "compare";
  comparing ??= true;
}

const SHEETS = {
  whole: (found) => pictureSheet(asJudged(found)),
  compare: (found, asked, room) => compareSheet(asJudged(found), asked, room),
  why: whySheet,
};

function pictureSheet(found) {
  const { width, height } = found;
  const made = el("div", { class: "viewer-sheet clipped", style: { aspectRatio: `${width} / ${height}` } }, large(found), ...overlays(found));
  made.style.setProperty("--ratio", width / height);
  return made;
}

// Words alone have no picture that could stand beside.
const canSayWhy = () => Boolean(shown.tools.features.why && asked().length);

function switchWay(other) {
  if (other === "why" ? !canSayWhy() : !asked().length) return;
  boxer = null;
  way = way === other ? "whole" : other;
  if (other === "compare") comparing = way === other;
  show();
}

// Returns whether there was such a result. isJudging: in a walk, to the next one of which nothing was said.
async function go(step, words, isJudging = false) {
  const { results, tools } = shown;
  const from = (at) => (isJudging && tools.isWalk && results[at]?.verdict ? from(at + step) : at);
  let next = from(shown.at + step);
  for (let n = -1; next >= results.length && tools.hasMore() && n !== results.length; next = from(next)) {
    n = results.length;
    await tools.more();
  }
  if (next < 0 || next >= results.length || shown.results !== results) return false;
  goTo(next, words);
  return true;
}

function goTo(at, words) {
  shown.at = at;
  clearTimeout(timer);
  timer = setTimeout(noteAddress, REST_MS); // browsers take no hundred addresses at once
  show(words);
}

function noteAddress() {
  clearTimeout(timer);
  if (timer) shown.tools.turned?.(result());
  timer = 0;
}

// ---- what can be done with the picture

// Have a box drawn on it.
function draw(onPicture) {
  boxer = onPicture;
  boxer.stage.classList.add("viewer-sheet");
  $("viewer-stage").replaceChildren(boxer.stage);
  lens.sheet = boxer.stage;
  if (way === "whole") lens.place();
  else lens.fit(); // another sheet has another size
  [wayBack, way] = [way, "whole"];
  for (const each of ["why", "compare"]) $(each).setAttribute("aria-pressed", "false");
  boxer.stage.focus();
}

function chooseRegion() {
  const { image_id, image, width, height, box } = result();
  draw(new Boxer({ src: api.picture(image_id), name: image, width, height, box, onSettle: () => {} }));
  $("region").hidden = true;
  $("region-go").hidden = false;
}

function searchRegion() {
  const { searchRegion: search } = shown.tools;
  const [picture, box] = [result(), boxer.pixels];
  $("viewer").close();
  search(picture, box);
}

async function copyPath() {
  try {
    const { file, image } = await api.image(result().image_id);
    await copy(file ?? image, $("viewer"));
    $("copy-path").textContent = "Copied";
  } catch (error) {
    problem(error);
  }
}

function keys() {
  if (!$("viewer").open) return null;
  const own = {
    ArrowLeft: () => go(-1), ArrowRight: () => go(1), w: () => switchWay("why"), c: () => switchWay("compare"),
    "+": () => lens.zoom(1.4), "-": () => lens.zoom(1 / 1.4), 0: () => lens.fit(), ...reviewKeys(),
  };
  return boxer ? { ...own, Escape: () => show() } : own;
}

export function startViewer() {
  const stage = $("viewer-stage");
  lens = new Zoom(stage, null, { pans: () => !boxer && lens.scale > 1, onPinch: () => boxer?.letGo() });
  onSwipe(stage, (step) => go(step), () => !boxer && lens.scale === 1);
  stage.addEventListener("dblclick", (event) => boxer || (lens.scale > 1 ? lens.fit() : lens.zoom(2.5, event.clientX, event.clientY)));
  startReview({
    result, show, go, goTo, draw, begin: compareFromNowOn, results: () => shown.results, tools: () => shown.tools, isOpen: () => $("viewer").open,
  });
  onKeys(keys);
  const click = (id, act) => $(id).addEventListener("click", act);
  click("zoom-in", () => lens.zoom(1.4));
  click("zoom-out", () => lens.zoom(1 / 1.4));
  click("zoom-fit", () => lens.fit());
  click("why", () => switchWay("why"));
  click("compare", () => switchWay("compare"));
  click("viewer-prev", () => go(-1));
  click("viewer-next", () => go(1));
  click("viewer-close", () => $("viewer").close());
  $("viewer").addEventListener("cancel", (event) => boxer && event.preventDefault());
  $("viewer").addEventListener("close", () => {
    noteAddress();
    lens.pointers.clear();
  });
  click("region", chooseRegion);
  click("region-go", searchRegion);
  click("copy-path", copyPath);
  click("exclude-this", () => {
    shown.tools.exclude(result());
    $("viewer").close();
  });
  click("open-folder", () => api.reveal(result().image_id).catch(problem));
}
