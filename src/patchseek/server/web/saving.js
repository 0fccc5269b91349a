// "Save this query": what is looked for is kept under a name, asked of all pictures, and again when some come.

import { openSaved } from "./address.js";
import * as api from "./api.js";
import { fileName } from "./cards.js";
import { $, problem, say } from "./dom.js";
import { chosen } from "./options.js";
import { state } from "./state.js";
import { limitsInWords } from "./where.js";

let savedAs = null; // the name under which what is shown is saved

const bare = (file) => fileName(file ?? "").replace(/\.[^.]*$/, "");

function freeName(queries) {
  const taken = new Set(queries.map(({ name }) => name));
  const base = (bare(state.queries[0]?.name) || chosen().text || "query").slice(0, 190);
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base} ${i}`;
  return name;
}

// The form is opened: with a name that is free, or with where it is saved already.
async function prepare() {
  if (!$("save").open) return;
  try {
    const queries = await api.savedQueries();
    const known = queries.find(({ query_key }) => query_key === state.answer?.query_key);
    showSaved(known?.name ?? null, "Saved already");
    $("save-limits").hidden = !limitsInWords();
    if (known) return;
    $("save-name").value = freeName(queries);
    $("save-name").select();
  } catch (error) {
    problem(error, prepare);
  }
}

function showSaved(name, words) {
  savedAs = name;
  $("save-form").hidden = name !== null;
  $("save-done").hidden = name === null;
  if (name === null) return $("save-name").focus();
  $("save-words").textContent = `${words} as “${name}”.`;
  $("save-open").focus();
}

const asked = () => ({
  name: $("save-name").value.trim(),
  note: $("save-note").value.trim(),
  queries: state.queries.map(({ query_id, image_id, box }) => ({ query_id: query_id ?? null, image_id: query_id ? null : image_id, box })),
  text: chosen().text ?? null,
  exclude: state.exclude.map(({ image_id }) => image_id),
});

// Pictures that the server has forgotten meanwhile are sent again.
async function keep() {
  try {
    return await api.saveQuery(asked());
  } catch (error) {
    const lost = state.queries.filter((query) => query.file);
    if (error.status !== 404 || !lost.length) throw error;
    for (const query of lost) query.query_id = (await api.sendQuery(query.file)).query_id;
    return api.saveQuery(asked());
  }
}

async function save() {
  $("save-now").disabled = true;
  try {
    const { name } = await keep();
    showSaved(name, "Saved");
    say(`Saved as ${name}`);
    $("save-note").value = "";
    await api.runSaved({ names: [name] });
  } catch (error) {
    problem(error);
  } finally {
    $("save-now").disabled = false;
  }
}

export function startSaving() {
  $("save").addEventListener("toggle", prepare);
  $("save-form").addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  $("save-open").addEventListener("click", () => {
    $("save").open = false;
    openSaved(savedAs);
  });
}
