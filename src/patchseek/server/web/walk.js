// Going through finds of saved queries in the full view, one query after another, with as little as one key a find.

import { closeFind, openFind, saved } from "./address.js";
import * as api from "./api.js";
import { searchPicture } from "./asked.js";
import { $, problem } from "./dom.js";
import { features } from "./state.js";
import { recall } from "./verdicts.js";
import { openViewer } from "./viewer.js";

const MOST = 1000; // finds of a query that are told at once

let walk = null; // {way, which, left: queries whose finds are not there yet, results}
let loading = null; // a promise of those of the next query

// Finds with what the full view needs of its query. told: the query, as the server tells it with its finds.
export function asFinds(told, finds) {
  const asked = told.views.filter((view) => view.is_wanted && view.kept_width).map((view) => ({
    src: api.kept(view.kept), name: view.image || told.name, box: view.kept_box, width: view.kept_width, height: view.kept_height, title: told.name,
  }));
  const known = finds.filter(({ image_id }) => image_id);
  for (const find of known) Object.assign(find, { query_key: told.query_key, query_name: told.name, asked });
  for (const { src } of asked) new Image().src = src; // there before its first find is
  return recall(told.query_key, known);
}

// What the full view does with a find of a saved query.
export const findTools = (others) => ({
  features: { ...features(), exclude: false, why: false }, asked: [], searchRegion: searchPicture, ...others,
});

const planned = (query) => (walk.which === "unjudged" ? Math.max(query.finds - judgedOf(query), 0) : walk.way === "new" ? query.new : query.open);
const judgedOf = ({ judged }) => Object.values(judged).reduce((sum, n) => sum + n, 0);

// Judge what is open of queries, as the server lists them. way: "one", "all" or "new", for the address; which: "open",
// or "unjudged" with what is doubtful. find: the picture to begin with. Returns whether there was anything to judge.
export async function startWalk(queries, { way, which, find = null }) {
  await loading; // of a walk before
  walk = { way, which, left: [...queries], results: [] };
  await more();
  if (!walk.results.length) {
    walk = null;
    return false;
  }
  const { results } = walk;
  const tools = findTools({
    isWalk: true,
    queryKey: results[0].query_key,
    hasMore: () => walk?.left.length > 0,
    more,
    nSure: () => results.length,
    placeOf: ({ query_name, place, n }) => `${query_name} · ${place} of ${n}`,
    progress: (n) => (n === total() && !walk?.left.length ? `All ${n} judged. Esc closes` : `${n} of ${total()} judged`),
    turned,
  });
  const at = Math.max(0, results.findIndex(({ image_id }) => image_id === find));
  openFind(results[at].query_name, results[at].image_id, `${way}.${which}`);
  openViewer(results, at, tools, true);
  return true;
}

const total = () => walk.results.length + walk.left.reduce((sum, query) => sum + planned(query), 0);

function turned({ query_name, image_id }) {
  if (saved().find) openFind(query_name, image_id, `${walk.way}.${walk.which}`);
}

const more = () => (loading ??= load().finally(() => (loading = null)));

// The finds of the next query that has any.
async function load() {
  const mine = walk;
  if (!mine) return; // it is over: tried again too late
  const before = mine.results.length;
  while (mine.left.length && mine.results.length === before) {
    const [query] = mine.left;
    try {
      const { query: told, finds } = await api.finds(query.query_key, { which: mine.which, limit: MOST });
      mine.left.shift();
      const wanted = asFinds(told, finds).filter(({ verdict, is_new }) => !verdict && (mine.way !== "new" || is_new));
      wanted.forEach((find, i) => Object.assign(find, { place: i + 1, n: wanted.length }));
      mine.results.push(...wanted);
    } catch (error) {
      if (error.status === 404) mine.left.shift(); // it was removed meanwhile
      else return problem(error, more);
    }
  }
}

// over: called when the full view of a saved query's find was closed.
export function startWalking(over) {
  $("viewer").addEventListener("close", () => {
    if (!saved().find && !walk) return;
    walk = null;
    if (!closeFind()) over();
  });
}
