// "How good is it here?": mark results right or wrong, see precision at k, save the set for `patchseek eval`.

import * as api from "./api.js";
import { cell, fileName, framed } from "./cards.js";
import { $, count, download, el, overlays, problem, say } from "./dom.js";

const SHOWN = 20;
const KS = [1, 5, 10];

// {name, query, results, marks: Map image_id -> true (right) or false (wrong)}
const objects = [];
let active = null;

// Right among the first k, as a share of k; null until all of them are judged. Fewer than k results count as k do.
export function precision({ results, marks }, k) {
  const first = results.slice(0, k).map((result) => marks.get(result.image_id));
  if (!first.length || first.includes(undefined)) return null;
  return first.filter(Boolean).length / first.length;
}

const percent = (share) => (share === null ? "–" : `${Math.round(100 * share)} %`);

// Take over a search: its query and first results.
export function judgeSearch({ queries, answer, results }) {
  if (!answer) return;
  const query = queries[0];
  const taken = new Set(objects.map((object) => object.name));
  const base = fileName(query.name).replace(/\.[^.]*$/, "") || "object";
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base} ${i}`;
  active = { name, query: { ...query }, results: results.slice(0, SHOWN), marks: new Map() };
  objects.push(active);
  location.hash = "#judge";
  show();
  $("judging-title").focus();
}

function show() {
  $("judge-empty").hidden = objects.length > 0;
  $("save-set").disabled = !objects.some((object) => [...object.marks.values()].some(Boolean));
  $("objects").replaceChildren(...objects.map(objectCard));
  $("judging").hidden = !active;
  showSummary();
  if (!active) return;
  $("judging-title").textContent = `Which of these show “${active.name}”?`;
  $("judged").replaceChildren(...active.results.map(judgedCard));
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
    object.name = name.value.trim() || object.name;
    show();
  });
  return el(
    "li",
    { class: `object${object === active ? " active" : ""}` },
    el("img", { src: query.image_id ? api.thumbnail(query.image_id) : query.src, alt: "" }),
    el("div", { class: "object-words" }, name, el("span", { class: "muted small", text: `${object.marks.size} of ${object.results.length} marked · ${figures}` })),
    el("button", { type: "button", text: "Mark", "aria-pressed": String(object === active), "aria-label": `Mark the results of ${object.name}`, on: { click: () => { active = object; show(); } } }),
    el("button", { type: "button", class: "quiet icon", text: "×", "aria-label": `Forget ${object.name}`, on: { click: () => forget(object) } }),
  );
}

function forget(object) {
  objects.splice(objects.indexOf(object), 1);
  if (active === object) active = objects[0] ?? null;
  show();
}

function judgedCard(result) {
  const item = cell(result, el("span", { class: "tile" }, framed(result, overlays(result))));
  const button = (isRight, text) =>
    el("button", { type: "button", class: isRight ? "right" : "wrong", text, "aria-label": `${text}: result ${result.rank}, ${result.image}`, on: { click: () => mark(result, isRight, item) } });
  item.append(el("div", { class: "caption" }, el("span", { class: "rank", text: String(result.rank) }), el("span", { class: "row marks" }, button(true, "Right"), button(false, "Wrong"))));
  item.addEventListener("keydown", (event) => {
    const isRight = { r: true, w: false }[event.key.toLowerCase()];
    if (isRight === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    mark(result, isRight, item);
    item.nextElementSibling?.querySelector("button")?.focus();
  });
  showMark(result, item);
  return item;
}

function mark(result, isRight, item) {
  const { marks } = active;
  if (marks.get(result.image_id) === isRight) marks.delete(result.image_id);
  else marks.set(result.image_id, isRight);
  showMark(result, item);
  showSummary();
  $("objects").replaceChildren(...objects.map(objectCard));
  $("save-set").disabled = !objects.some((object) => [...object.marks.values()].some(Boolean));
  say(`Result ${result.rank} marked ${isRight ? "right" : "wrong"}`);
}

function showMark(result, item) {
  const isRight = active.marks.get(result.image_id);
  item.dataset.mark = isRight === undefined ? "" : isRight ? "right" : "wrong";
  item.querySelector(".right").setAttribute("aria-pressed", String(isRight === true));
  item.querySelector(".wrong").setAttribute("aria-pressed", String(isRight === false));
}

async function save() {
  const named = objects.filter((object) => [...object.marks.values()].some(Boolean));
  const refs = async ({ query }) => {
    if (query.file) query.query_id = (await api.sendQuery(query.file)).query_id; // it may have been forgotten meanwhile
    return { query_id: query.query_id ?? null, image_id: query.image_id ?? null, box: query.box };
  };
  try {
    const body = [];
    for (const object of named) {
      const { name, results, marks } = object;
      const right = results.filter((result) => marks.get(result.image_id)).map(({ image_id, box }) => ({ image_id, box }));
      const unsure = results.filter((result) => !marks.has(result.image_id)).map((result) => result.image_id);
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
  show();
}
