// The finds of one saved query as a wall: the sure ones, and behind a line what is doubtful. Cards come as they are needed.

import { openFind } from "./address.js";
import * as api from "./api.js";
import { endless, resultCard } from "./cards.js";
import { $, count, el, problem } from "./dom.js";
import { restamp } from "./stamps.js";
import { doubtful, state } from "./state.js";
import { onVerdict } from "./verdicts.js";
import { openViewer, seen } from "./viewer.js";
import { asFinds, findTools } from "./walk.js";

const PAGE = 50;

let query = null;
let finds = []; // those that the server has told so far, in order
let total = 0;
let told = 0; // by the server, those included that are no longer there
let isUnfolded = false;
let loading = null;

// Show a query's finds; whether the doubtful ones are shown stays as it was.
export async function showFinds(shown) {
  const isSame = query?.query_key === shown.query_key;
  if (!isSame) isUnfolded = false;
  [query, finds, told, total] = [shown, [], 0, 1];
  $("finds").replaceChildren(el("ul", { class: "wall" }));
  await more();
}

const hasMore = () => told < total;
const more = () => (loading ??= load().finally(() => (loading = null)));

async function load() {
  const mine = query;
  try {
    const page = await api.finds(mine.query_key, { skip: told, limit: PAGE });
    if (query !== mine) return;
    [total, told] = [page.total, page.total ? told + page.finds.length : 0];
    if (!page.finds.length) total = told;
    const come = asFinds(page.query, page.finds);
    finds.push(...come);
    add(come);
  } catch (error) {
    problem(error, more);
  }
  const isFolded = !isUnfolded && finds.some(({ is_sure }) => !is_sure);
  $("more-finds").hidden = !hasMore() || isFolded;
}

function add(come) {
  const place = $("finds");
  place.querySelector(".wall").append(...come.filter(({ is_sure }) => is_sure).map(card));
  const others = finds.filter(({ is_sure }) => !is_sure);
  if (!others.length) return;
  if (!place.querySelector(".fold")) place.append(fold());
  if (!isUnfolded) return;
  const wall = place.querySelector(".fold + .wall") ?? place.appendChild(el("ul", { class: "wall" }));
  wall.append(...others.slice(wall.childElementCount).map(card));
}

function fold() {
  const n = Math.max(0, query.finds - query.sure);
  const toggle = () => {
    isUnfolded = !isUnfolded;
    $("finds").querySelector(".fold").remove();
    $("finds").querySelector(".wall + .wall")?.remove();
    add([]);
    $("more-finds").hidden = !hasMore() || !isUnfolded;
    $("finds").querySelector(".fold button").focus();
  };
  return el("div", { class: "fold" }, el("span", { text: "Doubtful from here" }),
    el("button", { type: "button", text: isUnfolded ? "Hide them" : `Show ${count(n, "other")}`, "aria-expanded": String(isUnfolded), on: { click: toggle } }));
}

const card = (find) => resultCard(find, { open, doubtful: doubtful() || state.collection?.doubtful_below || 0 });

function open(find) {
  const turned = ({ query_name, image_id }) => openFind(query_name, image_id, null);
  const tools = findTools({ queryKey: query.query_key, hasMore, more, nSure: () => finds.filter(({ is_sure }) => is_sure).length, turned });
  openFind(query.name, find.image_id, null);
  openViewer(finds, finds.indexOf(find), tools);
}

// Open a find in the full view, by its picture; returns whether there is such a one.
showFinds.open = (imageId) => {
  const find = finds.find(({ image_id }) => image_id === imageId);
  if (find) open(find);
  return Boolean(find);
};

export function startFinds() {
  endless($("more-finds"), more);
  onVerdict(({ query_key, image_id }) => {
    if (!image_id || query_key !== query?.query_key) return;
    const find = finds.find((one) => one.image_id === image_id);
    const cell = $("finds").querySelector(`[data-image-id="${image_id}"]`);
    if (find && cell) restamp(cell, find);
  });
  $("viewer").addEventListener("close", () => $("finds").querySelector(`[data-image-id="${seen()}"] .tile`)?.focus());
}
