// The search page: what is looked for at the left, what was found at the right.

import * as api from "./api.js";
import { Boxer } from "./boxer.js";
import { choice, endless, resultCard } from "./cards.js";
import { $, count, el, fine, number, problem, say } from "./dom.js";
import { exportResults } from "./exports.js";
import { showOffer } from "./offer.js";
import { openViewer } from "./viewer.js";
import { startWhere, where } from "./where.js";

const PAGE = 24;
const SETTLE_MS = 200;
const SWITCHES = [
  ["refine", "Finer boxes", true],
  ["several", "Several copies in a picture", false],
  ["distinct", "Near-duplicates once", false],
  ["mirrored", "Mirrored, too", false],
];

// What is looked for and what was found. A query: {query_id or image_id, file, name, width, height, src, box}.
export const state = { collection: null, queries: [], active: 0, exclude: [], answer: null, asked: [], results: [], selected: new Map() };

let boxer = null;
let running = null;
let timer = 0;
let loadingMore = false;
const switches = {};

const features = () => state.collection?.features ?? {};
const current = () => state.queries[state.active];
const doubtful = () => state.answer.collection.doubtful_below;

// ---- what is looked for

// Search with files that were dropped, pasted or chosen; several where the server takes several.
export async function searchFiles(files, add = false) {
  const chosen = [...files].slice(0, features().several_queries ? 5 : 1);
  for (const file of chosen) {
    const limit = state.collection.limits.upload_bytes;
    if (file.size > limit * 0.999) {
      problem(`${file.name} is ${number(file.size / 2 ** 20)} MB; this server takes pictures up to ${number(limit / 2 ** 20)} MB.`);
      return;
    }
    document.body.classList.add("busy");
    say(`Sending ${file.name}`);
    try {
      const sent = await api.sendQuery(file);
      const query = { ...sent, name: file.name || "pasted picture", file, src: api.queryPicture(sent.query_id), box: null };
      setQuery(query, add || file !== chosen[0]);
    } catch (error) {
      problem(error);
      return;
    } finally {
      document.body.classList.remove("busy");
    }
  }
}

// Search with a picture of the collection, {image_id, image, width, height}, and maybe a box on it.
export function searchPicture(picture, box = null) {
  location.hash = "#search";
  setQuery({ image_id: picture.image_id, name: picture.image, width: picture.width, height: picture.height, src: api.picture(picture.image_id), box });
  window.scrollTo({ top: 0 });
}

function setQuery(query, add = false) {
  if (add && features().several_queries) state.queries.push(query);
  else [state.queries, state.exclude] = [[query], []];
  state.active = state.queries.length - 1;
  showQuery();
  run();
}

function showQuery() {
  const query = current();
  $("drop").hidden = Boolean(query);
  $("asked").hidden = !query;
  boxer = null;
  if (!query) return;
  boxer = new Boxer({
    ...query,
    helpId: "box-help",
    onMove: (box) => showNumbers(box),
    onSettle: (box) => {
      query.box = box;
      clearTimeout(timer);
      timer = setTimeout(run, SETTLE_MS);
    },
  });
  $("stage").replaceChildren(boxer.stage);
  showNumbers(query.box);
  showStrip();
}

function showNumbers(box) {
  ["x", "y", "w", "h"].forEach((side, i) => {
    const input = $(`box-${side}`);
    if (document.activeElement !== input) input.value = box ? box[i] : "";
  });
  $("whole").disabled = !box;
}

function typedBox() {
  const query = current();
  const [x, y, w, h] = ["x", "y", "w", "h"].map((side) => $(`box-${side}`).valueAsNumber);
  if ([x, y, w, h].some(Number.isNaN) || w < 1 || h < 1 || x < 0 || y < 0 || x + w > query.width || y + h > query.height) return;
  boxer.pixels = query.box = [x, y, w, h];
  clearTimeout(timer);
  timer = setTimeout(run, SETTLE_MS);
}

function showStrip() {
  const strip = $("strip");
  strip.hidden = state.queries.length < 2 && !state.exclude.length;
  const remove = (list, i) => () => {
    list.splice(i, 1);
    state.active = Math.min(state.active, state.queries.length - 1);
    showQuery();
    run();
  };
  strip.replaceChildren(
    ...state.queries.map((query, i) =>
      el("span", { class: `chip${i === state.active ? " active" : ""}` },
        el("button", { type: "button", class: "tile", "aria-label": `Show ${query.name}`, "aria-pressed": String(i === state.active), on: { click: () => { state.active = i; showQuery(); } } },
          el("img", { src: query.src, alt: "" })),
        state.queries.length > 1 ? el("button", { type: "button", class: "quiet icon", "aria-label": `Leave out ${query.name}`, text: "×", on: { click: remove(state.queries, i) } }) : null)),
    ...state.exclude.map((picture, i) =>
      el("span", { class: "chip not" },
        el("img", { src: api.thumbnail(picture.image_id), alt: `Not like ${picture.image}` }),
        el("button", { type: "button", class: "quiet icon", "aria-label": `Allow ${picture.image} again`, text: "×", on: { click: remove(state.exclude, i) } }))),
  );
}

function excludePicture(picture) {
  state.exclude.push(picture);
  showStrip();
  run();
}

function options() {
  const chosen = where();
  if (features().text && $("text").value.trim()) chosen.text = $("text").value.trim();
  if (switches.refine && !switches.refine.checked) chosen.refine = 0;
  if (features().why) chosen.why = true;
  if (switches.several?.checked) chosen.several = true;
  if (switches.distinct?.checked) chosen.distinct = true;
  if (switches.mirrored?.checked) chosen.mirrored = true;
  if (state.exclude.length) chosen.exclude = state.exclude.map((picture) => picture.image_id);
  return chosen;
}

// Ask the server again, and forget the question that may still be under way.
export async function run() {
  clearTimeout(timer);
  running?.abort();
  const asked = options();
  if (!state.queries.length && !asked.text) return;
  const mine = (running = new AbortController());
  const queries = api.ordered(state.queries);
  const began = performance.now();
  $("answers").setAttribute("aria-busy", "true");
  $("start").hidden = true;
  $("answers").hidden = false;
  try {
    const answer = await ask(asked, 0, mine.signal);
    state.answer = answer;
    state.asked = queries.map((query, i) => asAsked(query, (answer.queries ?? [answer.query])[i]));
    state.results = answer.results;
    state.selected.clear();
    showResults((performance.now() - began) / 1000);
    fine();
  } catch (error) {
    if (error.name !== "AbortError") problem(error);
  } finally {
    if (running === mine) $("answers").setAttribute("aria-busy", "false");
  }
}

// A picture searched with, as the answer has it: the query itself may change meanwhile.
function asAsked({ query_id, src, name }, { box, width, height }) {
  return { src: query_id ? api.queryPicture(query_id) : src, name, box, width, height };
}

// A search; pictures that the server has forgotten meanwhile are sent again.
async function ask(asked, skip, signal) {
  const send = () => api.search(state.queries, { ...asked, top: PAGE, skip }, signal);
  try {
    return await send();
  } catch (error) {
    const lost = state.queries.filter((query) => query.file);
    if (error.status !== 404 || !lost.length) throw error;
    for (const query of lost) query.query_id = (await api.sendQuery(query.file, signal)).query_id;
    return send();
  }
}

// ---- what was found

function card(result) {
  return resultCard(result, { open: openResult, select, selected: state.selected.has(result.image_id), doubtful: doubtful() });
}

function showResults(seconds) {
  const total = state.answer.collection.images;
  const among = Object.keys(where()).length ? "the pictures that may answer" : count(total, "picture");
  const title = state.results.length ? "Results" : "Nothing found";
  $("answers-title").textContent = total ? title : "Nothing to search yet";
  $("answers-words").textContent = total
    ? `Best of ${among}, in ${seconds.toFixed(seconds < 1 ? 2 : 1)} s`
    : "This collection has no pictures. Add some on the Collection page.";
  const best = state.results[0];
  const sure = best?.confidence ?? null;
  $("verdict").hidden = sure === null || sure >= doubtful() || !best.refined; // of others, many are no surer though it is there
  $("verdict").textContent = "Probably not here. These are the pictures that come nearest.";
  $("results").replaceChildren(...state.results.map(card));
  showMore(state.results.length);
  showSelection();
  say(best ? `${count(state.results.length, "result")}. Best: ${best.image}, score ${best.score.toFixed(2)}` : "No results");
}

function showMore(n) {
  $("more").hidden = n < PAGE || state.results.length >= state.answer.collection.images;
}

async function more() {
  if (loadingMore || !state.answer) return;
  loadingMore = true;
  const answer = state.answer;
  try {
    const { results } = await ask(options(), state.results.length, running.signal);
    if (state.answer !== answer) return; // another question has been asked meanwhile
    state.results.push(...results);
    $("results").append(...results.map(card));
    showMore(results.length);
  } catch (error) {
    if (error.name === "AbortError") return; // another question is under way
    problem(error);
    $("more").hidden = false;
  } finally {
    loadingMore = false;
  }
}

function openResult(result) {
  openViewer(state.results, state.results.indexOf(result), {
    features: features(),
    asked: state.asked,
    searchRegion: searchPicture,
    exclude: excludePicture,
    more,
  });
}

function select(result, isSelected) {
  if (isSelected) state.selected.set(result.image_id, result);
  else state.selected.delete(result.image_id);
  showSelection();
}

function showSelection() {
  const n = state.selected.size;
  $("export-words").textContent = n ? `${count(n, "selected result")}` : "All results shown";
  $("export").firstElementChild.textContent = n ? `Export ${n}` : "Export";
  $("unselect").hidden = !n;
}

async function save(event) {
  const form = event.target.dataset.form;
  if (!form) return;
  $("export").open = false;
  const chosen = state.selected.size ? state.results.filter((result) => state.selected.has(result.image_id)) : state.results;
  try {
    await exportResults(form, chosen, state.answer, current());
  } catch (error) {
    problem(error);
  }
}

// ---- start

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
  if (!total && !isOffered) $("start-words").textContent = "This collection has no pictures yet. Add some on the Collection page.";
}

function startAgain() {
  running?.abort();
  [state.queries, state.exclude, state.answer, state.asked, state.results] = [[], [], null, [], []];
  state.selected.clear();
  showQuery();
  $("answers").hidden = true;
  $("start").hidden = false;
  $("choose-file").focus();
  showStart().catch(problem);
}

function makeSwitches() {
  for (const [name, words, isOn] of SWITCHES.filter(([name]) => features()[name])) {
    switches[name] = el("input", { type: "checkbox", id: `option-${name}`, checked: isOn, on: { change: run } });
    $("options").append(el("label", { class: "switch" }, switches[name], words));
  }
  $("options").hidden = !Object.keys(switches).length;
}

// Make the page ready; `collection` is what /api/collection answered.
export function startSearch(collection) {
  state.collection = collection;
  $("words").hidden = !features().text;
  $("another").hidden = !features().several_queries;
  makeSwitches();
  startWhere(collection, run);
  let adding = false;
  const choose = (add) => () => {
    adding = add;
    $("file").click();
  };
  $("file").multiple = Boolean(features().several_queries);
  $("choose-file").addEventListener("click", choose(false));
  $("another").addEventListener("click", choose(true));
  $("file").addEventListener("change", async () => {
    await searchFiles($("file").files, adding);
    $("file").value = "";
  });
  $("new").addEventListener("click", startAgain);
  $("whole").addEventListener("click", () => boxer?.clear());
  $("words").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  $("numbers").addEventListener("input", typedBox);
  $("export").addEventListener("click", save);
  $("unselect").addEventListener("click", () => {
    state.selected.clear();
    for (const box of $("results").querySelectorAll("input:checked")) box.checked = false;
    showSelection();
  });
  endless($("more"), more);
}
