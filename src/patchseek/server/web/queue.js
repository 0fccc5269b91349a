// Several files are one object, or separate ones: these become a list at the left, searched for one after the other.

import * as api from "./api.js";
import { showQueries } from "./asked.js";
import { fileName } from "./cards.js";
import { $, count, el } from "./dom.js";
import { options } from "./options.js";
import { features, state } from "./state.js";

// {file, name, query once it was sent, exclude, words: how it stands, isOver: whether it has been searched for}
let entries = [];
let active = null;
let isWorking = false;

// What somebody means by several files: "one", "separate" or null for neither.
export function meaning(files) {
  if (files.length < 2) return "one";
  $("several").hidden = false;
  $("several-words").textContent = `${count(files.length, "file")}: one object, or separate ones?`;
  $("several-one").hidden = !features().several_queries;
  $("several-separate").focus();
  return new Promise((resolve) => {
    const chosen = (what) => () => {
      $("several").hidden = true;
      resolve(what);
    };
    $("several-one").onclick = chosen("one");
    $("several-separate").onclick = chosen("separate");
    $("several-neither").onclick = chosen(null);
  });
}

// Search for each of the files by itself; `send` makes a query of a file. The first one is shown.
export function queueUp(files, send) {
  entries.push(...[...files].map((file) => ({ file, send, name: file.name || "pasted picture", query: null, exclude: [], words: "waiting", isOver: false })));
  show();
  work();
}

async function work() {
  if (isWorking) return;
  isWorking = true;
  for (let entry; (entry = entries.find(({ isOver }) => !isOver)); ) {
    say(entry, "searching");
    try {
      entry.query ??= await entry.send(entry.file);
      if (!active) open(entry);
      note(entry.query, await api.search([entry.query], { ...options(), exclude: [], top: 24 }));
    } catch (error) {
      say(entry, error.message);
    }
    entry.isOver = true;
    show();
  }
  isWorking = false;
}

// What was found for a query: where it is one of the list, how much is told there.
export function note(query, { results, collection }) {
  const entry = entries.find((each) => each.query && each.query === query);
  if (!entry) return;
  const n = results.filter(({ confidence }) => (confidence ?? 0) >= collection.doubtful_below).length;
  const isKnown = results.some(({ confidence }) => confidence !== null && confidence !== undefined);
  say(entry, isKnown ? (n ? `${n === results.length ? "at least " : ""}${n} sure` : "probably not here") : count(results.length, "result"));
}

// The list goes when somebody searches for something else.
export function leaveQueue() {
  [entries, active] = [[], null];
  show();
}

export const isQueued = (query) => entries.some((entry) => entry.query === query);

function open(entry) {
  if (active) active.exclude = state.exclude;
  active = entry;
  showQueries([entry.query], entry.exclude);
  show();
}

function say(entry, words) {
  entry.words = words;
  show();
}

function show() {
  const over = entries.filter(({ isOver }) => isOver).length;
  $("queue").hidden = !entries.length;
  $("queue-words").textContent = over < entries.length ? `${over} of ${count(entries.length, "object")} searched for` : count(entries.length, "object");
  $("queue-list").replaceChildren(...entries.map((entry) =>
    el("li", {}, el("button", { type: "button", "aria-current": entry === active ? "true" : null, disabled: !entry.query, on: { click: () => open(entry) } },
      el("span", { class: "entry", text: fileName(entry.name) }), el("span", { class: "muted small", text: entry.words })))));
}
