// Ask the server, and show what it says as it says it: at once what is known, how far refining is, the answer.

import { show as showAddress } from "./address.js";
import * as api from "./api.js";
import { $, count, fine, problem, say } from "./dom.js";
import { addResults, clearResults, isHeld, showResults, whenFree } from "./results.js";
import { options } from "./options.js";
import { note } from "./queue.js";
import { state } from "./state.js";
import { recall } from "./verdicts.js";

const PAGE = 24;

let running = null;
let loading = null; // a promise of the page that is being fetched

// Ask anew, and forget the question that may still be under way. isKept: the address already says so.
export async function ask({ isKept = false } = {}) {
  running?.abort();
  const asked = options();
  if (!state.queries.length && !asked.text) return;
  const mine = (running = new AbortController());
  let end;
  state.settling = new Promise((resolve) => (end = resolve));
  const question = { queries: api.ordered(state.queries), began: performance.now() };
  $("answers").setAttribute("aria-busy", "true");
  $("answers").dataset.asking = "";
  $("start").hidden = true;
  $("answers").hidden = false;
  if (!isKept) showAddress();
  try {
    const answer = await send({ ...asked, top: PAGE, skip: 0 }, mine.signal, (line) => running === mine && heard(line, question));
    if (isHeld(question.began)) $("progress").textContent = "· settled, shown when you leave these results";
    await whenFree(question.began, mine.signal); // nothing moves beneath the pointer
    if (running !== mine) return;
    take(answer, question, true);
    note(state.queries[0], answer);
    fine("search");
  } catch (error) {
    if (error.name === "AbortError" || running !== mine) return;
    clearResults();
    problem(error, () => ask({ isKept: true }), "search");
  } finally {
    end();
    if (running === mine) {
      $("answers").setAttribute("aria-busy", "false");
      delete $("answers").dataset.asking;
      $("progress").textContent = "";
    }
  }
}

function heard({ answer, is_final, progress }, question) {
  if (answer && !is_final && !isHeld(question.began)) take(answer, question, false);
  if (progress?.total) $("progress").textContent = `· ${progress.doing}: ${progress.done} of ${progress.total}`;
}

// The answer becomes what is shown. A picture searched with stays as the answer has it: it may change meanwhile.
function take(answer, { queries, began }, isSettled) {
  delete $("answers").dataset.asking;
  state.answer = answer;
  state.isSettled = isSettled;
  state.asked = queries.map((query, i) => asAsked(query, (answer.queries ?? [answer.query])[i]));
  state.results = recall(answer.query_key, answer.results);
  showResults((performance.now() - began) / 1000);
  const best = state.results[0];
  const said = best ? `${count(state.results.length, "result")}${isSettled ? `. Best: ${best.image}` : ", refining"}` : "No results";
  say(said);
  $("more").hidden = !isSettled || answer.results.length < PAGE || state.results.length >= answer.collection.images;
}

function asAsked({ query_id, src, name }, { box, width, height }) {
  return { src: query_id ? api.queryPicture(query_id) : src, name, box, width, height };
}

// A search; pictures that the server has forgotten meanwhile are sent again.
async function send(fields, signal, heard) {
  const search = () => api.search(state.queries, fields, signal, heard);
  try {
    return await search();
  } catch (error) {
    const lost = state.queries.filter((query) => query.file);
    if (error.status !== 404 || !lost.length) throw error;
    for (const query of lost) query.query_id = (await api.sendQuery(query.file, signal)).query_id;
    return search();
  }
}

// The next page of the answer; resolves when it is there.
export function more() {
  if (!state.answer || !state.isSettled) return loading;
  return (loading ??= addPage().finally(() => (loading = null)));
}

async function addPage() {
  const answer = state.answer;
  try {
    const { results } = await send({ ...options(), top: PAGE, skip: state.results.length }, running.signal);
    if (state.answer !== answer) return; // another question has been asked meanwhile
    addResults(recall(answer.query_key, results));
    $("more").hidden = results.length < PAGE || state.results.length >= answer.collection.images;
  } catch (error) {
    if (error.name === "AbortError") return; // another question is under way
    problem(error, more);
    $("more").hidden = false;
  }
}

// Stop asking.
export function forget() {
  running?.abort();
  running = null;
}
