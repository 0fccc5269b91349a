// "How good is it here?": the verdicts of several searches, precision at k, and the set of them for `patchseek eval`.

import * as api from "./api.js";
import { searchPicture } from "./asked.js";
import { cell, fileName, framed } from "./cards.js";
import { $, count, download, el, overlays, problem, say } from "./dom.js";
import { onKeys } from "./keys.js";
import { asJudged, restamp, stamp } from "./stamps.js";
import { features } from "./state.js";
import { judge, onVerdict, recall } from "./verdicts.js";
import { openViewer, seen } from "./viewer.js";

const KS = [1, 5, 10];
const WORDS = { yes: "Yes", no: "No", unsure: "Unsure" };

// {name, query, key, asked, results}; a verdict is the result's own
const objects = [];
let active = null;

// Right among the first k that are not left open, as a share of k; null until something was said of all of them. Fewer
// than k results count as k do.
export function precision({ results }, k) {
  const first = results.filter(({ verdict }) => verdict !== "unsure").slice(0, k);
  if (!first.length || first.some(({ verdict }) => !verdict)) return null;
  return first.filter(({ verdict }) => verdict === "yes").length / first.length;
}

const percent = (share) => (share === null ? "–" : `${Math.round(100 * share)} %`);

// Take over a search: its query, and all results that are shown.
export function judgeSearch({ queries, answer, asked, results }) {
  if (!answer) return;
  const known = objects.find(({ key }) => key === answer.query_key);
  active = known ?? { name: freeName(queries[0].name), query: { ...queries[0] }, key: answer.query_key };
  Object.assign(active, { asked, results: [...results] });
  if (!known) objects.push(active);
  addEventListener("hashchange", () => (itemToJudge()?.querySelector(".marks button") ?? $("judging-title")).focus(), { once: true });
  location.hash = "#judge";
  show();
}

function freeName(file) {
  const taken = new Set(objects.map((object) => object.name));
  const base = fileName(file).replace(/\.[^.]*$/, "") || "object";
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base} ${i}`;
  return name;
}

const hasRight = () => objects.some(({ results }) => results.some(({ verdict }) => verdict === "yes"));

function show() {
  $("judge-empty").hidden = objects.length > 0;
  for (const { key, results } of objects) recall(key, results);
  $("save-set").disabled = !hasRight();
  $("objects").replaceChildren(...objects.map(objectCard));
  $("judging").hidden = !active;
  showSummary();
  if (!active) return;
  showTitle();
  $("judged").replaceChildren(...active.results.map(judgedCard));
}

function showTitle() {
  $("judging-title").textContent = `Which of these show “${active.name}”?`;
}

function showSummary() {
  const mean = (k) => {
    const values = objects.map((object) => precision(object, k)).filter((value) => value !== null);
    return values.length ? values.reduce((a, b) => a + b) / values.length : null;
  };
  $("judge-summary").hidden = !objects.length;
  $("judge-summary").replaceChildren(
    ...KS.map((k) =>
      el("div", { class: "figure", data: { k } },
        el("strong", { text: percent(mean(k)) }),
        el("span", { class: "muted small", text: k === 1 ? "of first results are right" : `of the first ${k} are right` }))),
  );
}

function objectCard(object) {
  const figures = KS.map((k) => `P@${k} ${percent(precision(object, k))}`).join(" · ");
  const { query } = object;
  const name = el("input", { type: "text", value: object.name, maxlength: "100", "aria-label": "Name of the object", required: true });
  name.addEventListener("change", () => {
    name.value = object.name = name.value.trim() || object.name;
    showTitle(); // no more than that: a click may be under way
  });
  return el(
    "li",
    { class: `object${object === active ? " active" : ""}` },
    el("img", { src: query.image_id ? api.thumbnail(query.image_id) : query.src, alt: "" }),
    el("div", { class: "object-words" }, name, el("span", { class: "muted small", text: `${object.results.filter(({ verdict }) => verdict).length} of ${object.results.length} judged · ${figures}` })),
    el("button", { type: "button", text: "Judge", "aria-pressed": String(object === active), "aria-label": `Judge the results of ${object.name}`, on: { click: () => { active = object; show(); } } }),
    el("button", { type: "button", class: "quiet icon", text: "×", "aria-label": `Forget ${object.name}`, on: { click: () => forget(object) } }),
  );
}

function forget(object) {
  objects.splice(objects.indexOf(object), 1);
  if (active === object) active = objects[0] ?? null;
  show();
}

// ---- the results of one of them

function judgedCard(result) {
  const name = `result ${result.rank}, ${result.image}`;
  const open = el("button", { class: "tile", type: "button", "aria-label": `Open ${name}`, on: { click: () => openJudged(result) } }, framed(result, overlays(asJudged(result))));
  const button = (verdict) =>
    el("button", { type: "button", text: WORDS[verdict], data: { verdict }, "aria-label": `${WORDS[verdict]}: ${name}`, on: { click: () => mark(result, result.verdict === verdict ? null : verdict) } });
  const item = cell(result, open, stamp(result), el("div", { class: "caption" }, el("span", { class: "rank", text: String(result.rank) }), el("span", { class: "row marks" }, ...Object.keys(WORDS).map(button))));
  showMark(item, result);
  return item;
}

function mark(result, verdict) {
  judge(active.key, result, verdict, result.judged_box ?? result.box);
  say(`Result ${result.rank} ${verdict ? `judged ${verdict}` : "taken back"}`);
}

function showMark(item, { verdict }) {
  item.dataset.verdict = verdict ?? "";
  for (const button of item.querySelectorAll(".marks button")) button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
}

// Where the focus is, or else the first one of which nothing was said.
function itemToJudge() {
  const items = [...$("judged").children];
  return document.activeElement?.closest("#judged .cell") ?? items.find((item) => !item.dataset.verdict) ?? null;
}

function judgeNext(verdict) {
  const item = itemToJudge();
  const result = active.results.find(({ image_id }) => image_id === Number(item?.dataset.imageId));
  if (!result) return;
  mark(result, verdict);
  (item.nextElementSibling ?? item).querySelector(`.marks [data-verdict="${verdict}"]`).focus();
}

function keys() {
  const isAt = active && !$("judge").hidden && !$("viewer").open && document.activeElement?.closest("#judging");
  return isAt ? { y: () => judgeNext("yes"), n: () => judgeNext("no"), u: () => judgeNext("unsure") } : null;
}

function openJudged(result) {
  const { key, asked, results } = active;
  const tools = { features: { ...features(), exclude: false }, asked, queryKey: key, hasMore: () => false, nSure: () => results.length, searchRegion: searchPicture };
  openViewer(results, results.indexOf(result), tools, true);
}

// Something was said, here or in the full view.
function showVerdict({ query_key, image_id }) {
  if (!image_id || !objects.length) return;
  for (const { key, results } of objects) if (key === query_key) recall(key, results);
  showSummary();
  $("objects").replaceChildren(...objects.map(objectCard));
  $("save-set").disabled = !hasRight();
  const item = active?.key === query_key ? $("judged").querySelector(`[data-image-id="${image_id}"]`) : null;
  const result = active?.results.find((one) => one.image_id === image_id);
  if (!item || !result) return;
  restamp(item, result);
  showMark(item, result);
}

// ---- as a set

async function save() {
  const named = objects.filter(({ results }) => results.some(({ verdict }) => verdict === "yes"));
  const refs = async ({ query }) => {
    if (query.file) query.query_id = (await api.sendQuery(query.file)).query_id; // it may have been forgotten meanwhile
    return { query_id: query.query_id ?? null, image_id: query.image_id ?? null, box: query.box };
  };
  try {
    const body = [];
    for (const object of named) {
      const { name, results } = object;
      const right = results.filter(({ verdict }) => verdict === "yes").map(({ image_id, box, judged_box }) => ({ image_id, box: judged_box ?? box }));
      const unsure = results.filter(({ verdict }) => !verdict || verdict === "unsure").map((result) => result.image_id);
      body.push({ name, query: await refs(object), right, unsure });
    }
    download(await api.judgements({ objects: body }), "patchseek-set.zip");
    $("saved").hidden = false;
    say(`Saved ${count(body.length, "object")}`);
  } catch (error) {
    problem(error, save);
  }
}

export function startJudging() {
  $("save-set").addEventListener("click", save);
  onKeys(keys);
  onVerdict(showVerdict);
  $("viewer").addEventListener("close", () => $("judged").querySelector(`[data-image-id="${seen()}"] .tile`)?.focus());
  show();
}
