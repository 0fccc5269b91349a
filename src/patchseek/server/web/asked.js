// What is looked for, at the left: pictures, a box on each, what is not meant. Calls `changed` when that is another.

import * as api from "./api.js";
import { Boxer } from "./boxer.js";
import { $, el, number, problem, say } from "./dom.js";
import { onEasel } from "./easel.js";
import { propose } from "./proposals.js";
import { isQueued, leaveQueue, meaning, queueUp } from "./queue.js";
import { sending } from "./sending.js";
import { current, features, state } from "./state.js";

const SETTLE_MS = 200;

let boxer = null;
let timer = 0;
let changed = () => {};

const MOST = 5; // pictures of one object

// Search with files that were dropped, pasted or chosen. Several are pictures of one object, or objects by themselves.
export async function searchFiles(files, add = false) {
  const chosen = [...files];
  const means = add ? "one" : await meaning(chosen);
  if (means === "separate") queueUp(chosen, send);
  if (means !== "one") return;
  let adds = add;
  for (const file of chosen.slice(0, features().several_queries ? MOST : 1)) {
    try {
      setQuery(await send(file), adds);
      adds = true;
    } catch (error) {
      problem(error, error.status === undefined ? null : () => searchFiles([file], adds));
    }
  }
}

// A file becomes a query: the server keeps its picture. Raises Problem, an Error for what it would not take.
async function send(file) {
  const limit = state.collection.limits.upload_bytes;
  if (file.size > limit * 0.999) {
    throw new Error(`${file.name} is ${number(file.size / 2 ** 20)} MB; this server takes pictures up to ${number(limit / 2 ** 20)} MB.`);
  }
  document.body.classList.add("busy");
  say(`Sending ${file.name}`);
  try {
    const sent = await api.sendQuery(file, null, sending(file.name));
    return { ...sent, name: file.name || "pasted picture", file, src: api.queryPicture(sent.query_id), box: null };
  } finally {
    document.body.classList.remove("busy");
    sending(null);
  }
}

// Search with a picture of the collection, {image_id, image, width, height}, and maybe a box on it.
export function searchPicture(picture, box = null) {
  if ($("search").hidden) location.hash = "#search";
  setQuery({ image_id: picture.image_id, name: picture.image, width: picture.width, height: picture.height, src: api.picture(picture.image_id), box });
  window.scrollTo({ top: 0 });
}

export function setQuery(query, add = false) {
  if (add && features().several_queries) state.queries.push(query);
  else [state.queries, state.exclude, state.isUnfolded] = [[query], [], false];
  state.active = state.queries.length - 1;
  if (!isQueued(query)) leaveQueue();
  showQuery();
  changed();
}

// Look for these pictures, without those that are not meant.
export function showQueries(queries, exclude) {
  [state.queries, state.exclude, state.active, state.isUnfolded] = [queries, exclude, 0, false];
  showQuery();
  changed();
}

export function showQuery() {
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
      timer = setTimeout(changed, SETTLE_MS);
    },
  });
  $("stage").replaceChildren(onEasel(boxer));
  proposeFor(boxer, query);
  showNumbers(query.box);
  showStrip();
}

// Boxes are proposed once the search that begins now is settled: they take time of the same processor.
async function proposeFor(mine, query) {
  await new Promise((resolve) => setTimeout(resolve));
  await state.settling;
  if (boxer === mine) propose(mine, query);
}

function showNumbers(box) {
  ["x", "y", "w", "h"].forEach((side, i) => {
    const input = $(`box-${side}`);
    if (document.activeElement !== input) input.value = box ? box[i] : "";
  });
  $("whole").disabled = !box;
}

export function typedBox() {
  const query = current();
  const [x, y, w, h] = ["x", "y", "w", "h"].map((side) => $(`box-${side}`).valueAsNumber);
  if ([x, y, w, h].some(Number.isNaN) || w < 1 || h < 1 || x < 0 || y < 0 || x + w > query.width || y + h > query.height) return;
  boxer.pixels = query.box = [x, y, w, h];
  clearTimeout(timer);
  timer = setTimeout(changed, SETTLE_MS);
}

function showStrip() {
  const strip = $("strip");
  strip.hidden = state.queries.length < 2 && !state.exclude.length;
  const remove = (list, i) => () => {
    list.splice(i, 1);
    state.active = Math.min(state.active, state.queries.length - 1);
    showQuery();
    changed();
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

// What was found and is not meant: it goes at once, others that are nearly the same with the next answer.
export function excludePicture(picture) {
  state.exclude.push({ image_id: picture.image_id, image: picture.image });
  state.results = state.results.filter(({ image_id }) => image_id !== picture.image_id);
  $("results").querySelector(`[data-image-id="${picture.image_id}"]`)?.remove();
  showStrip();
  changed();
}

// Leave nothing to look for.
export function clearQueries() {
  clearTimeout(timer);
  [state.queries, state.exclude] = [[], []];
  leaveQueue();
  showQuery();
}

export function startAsked(onChange) {
  changed = () => {
    clearTimeout(timer);
    onChange();
  };
  $("whole").addEventListener("click", () => boxer?.clear());
  $("numbers").addEventListener("input", typedBox);
}
