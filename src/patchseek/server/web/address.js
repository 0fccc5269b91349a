// The address says what is searched: pictures, boxes, options, the open find. Back and reload give the same again.

import * as api from "./api.js";
import { $ } from "./dom.js";
import { choose, chosen } from "./options.js";
import { state } from "./state.js";
import { FIELDS, limit } from "./where.js";

const OPEN = "open"; // the picture in the full view
const SAVED = ["saved", "find", "walk"]; // a saved query, its find in the full view, and what is judged one after another
const TOKEN = "token"; // of the address that the server prints, until another question is asked

function fields() {
  const said = new URLSearchParams();
  for (const query of api.ordered(state.queries)) {
    said.append("of", query.query_id ? `q.${query.query_id}` : `i.${query.image_id}`);
    said.append("box", query.box ? query.box.join(",") : "");
  }
  for (const { image_id } of state.exclude) said.append("not", image_id);
  for (const [name, value] of Object.entries(chosen())) said.append(name, value);
  return said;
}

const address = (said, hash = location.hash) => `${location.pathname}${said.size ? `?${said}` : ""}${hash}`;
const here = () => new URLSearchParams(location.search);

function without(said, ...names) {
  for (const name of names) said.delete(name);
  return said;
}

let isClosing = false;

// Whether the browser tells of an address that nobody went to.
export function isOwn() {
  const was = isClosing;
  isClosing = false;
  return was;
}

const question = () => String(without(here(), OPEN, TOKEN, ...SAVED));

// The question is asked: Back leads to the one before.
export function show() {
  const said = fields();
  if (String(said) !== question()) history.pushState({}, "", address(said));
}

// A find is opened, or another one while one is open: Back closes the view.
export function open(imageId) {
  const said = here();
  const isOpen = said.has(OPEN);
  said.set(OPEN, imageId);
  history[isOpen ? "replaceState" : "pushState"]({ isOpened: true }, "", address(said));
}

// The view was closed. What the browser says of going back is then no question.
export function close() {
  if (history.state?.isOpened) {
    isClosing = true;
    history.back();
  }
  else if (here().has(OPEN)) history.replaceState({}, "", address(without(here(), OPEN)));
}

// ---- saved queries, beside whatever is searched for

// The saved query, its find and the walk that the address names; null where it names none.
export function saved() {
  const said = here();
  return { name: said.get("saved"), find: Number(said.get("find")) || null, walk: said.get("walk") };
}

// Show a saved query, or with null all of them.
export function openSaved(name) {
  const said = without(here(), TOKEN, ...SAVED);
  if (name !== null) said.set("saved", name);
  history.pushState({}, "", address(said, "#queries"));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

// A find of a saved query is in the full view, or another one: Back closes the view.
export function openFind(name, imageId, walk) {
  const isOpen = here().has("find");
  const said = without(here(), ...SAVED);
  said.set("saved", name);
  said.set("find", imageId);
  if (walk) said.set("walk", walk);
  history[isOpen ? "replaceState" : "pushState"]({ isFound: isOpen ? history.state?.isFound : true }, "", address(said, "#queries"));
}

// The full view was closed. Returns whether the browser will tell of another address.
export function closeFind() {
  if (!saved().find) return false;
  const isBack = Boolean(history.state?.isFound);
  if (isBack) history.back();
  else history.replaceState({}, "", address(without(here(), "find", "walk")));
  return isBack;
}

// Whether the address asks what is asked already.
export const isShown = () => question() === String(fields());

export const opened = () => Number(here().get(OPEN)) || null;

// What the address asks: its pictures are fetched, and switches and limits set. Raises Problem for what is not kept.
export async function asked() {
  const said = here();
  const boxes = said.getAll("box").map((box) => (box ? box.split(",").map(Number) : null));
  const queries = await Promise.all(said.getAll("of").map(async (of, i) => ({ ...(await picture(of)), box: boxes[i] ?? null })));
  const exclude = await Promise.all(said.getAll("not").map(api.image));
  choose(said);
  for (const name of Object.keys(FIELDS)) limit(name, said.get(name) ?? "");
  return { queries, exclude };
}

async function picture(of) {
  const [kind, id] = [of.slice(0, 1), of.slice(2)];
  if (kind === "i") {
    const { image_id, image, width, height } = await api.image(id);
    return { image_id, name: image, width, height, src: api.picture(id) };
  }
  const known = state.queries.find(({ query_id }) => query_id === id); // with its file, should the server forget it
  if (known) return known;
  const { query_id, image, width, height } = await api.query(id);
  return { query_id, name: image, width, height, src: api.queryPicture(id) };
}
