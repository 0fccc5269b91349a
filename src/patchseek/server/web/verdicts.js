// What was said of finds, "yes", "no", "unsure" or null: shown at once, and sent to the server one after another.

import * as api from "./api.js";
import { problem } from "./dom.js";

const said = new Map(); // `${query key} ${image_id}` -> {verdict, judged_box}, since the page was opened
const unsent = []; // {query_key, result, verdict, box, before}, what the server has not yet
const listeners = [];
let sending = null; // a promise, while it goes on
let trouble = null; // why the first of them could not be sent

// listener({query_key, image_id}) is called whenever something was said, listener({}) when it has been sent or not.
export const onVerdict = (listener) => listeners.push(listener);

function tell(what = {}) {
  for (const listener of listeners) listener(what);
}

// Results as the server has them, with what was said since it had.
export function recall(queryKey, results) {
  for (const result of results) Object.assign(result, said.get(`${queryKey} ${result.image_id}`));
  return results;
}

// How many are not kept yet, and why that has come to a stand.
export const waiting = () => ({ n: unsent.length, trouble });

export function judge(queryKey, result, verdict, box) {
  const before = { verdict: result.verdict, judged_box: result.judged_box };
  note(queryKey, result, verdict ? { verdict, judged_box: box } : { verdict: undefined, judged_box: undefined });
  unsent.push({ query_key: queryKey, result, verdict, box, before });
  send();
}

function note(queryKey, result, words) {
  said.set(`${queryKey} ${result.image_id}`, words);
  Object.assign(result, words);
  tell({ query_key: queryKey, image_id: result.image_id });
}

// Send what waits; done when nothing does, or when that has come to a stand. What the server refuses for good is taken
// back; all else waits for the next try.
export async function send() {
  if (unsent.length) await (sending ??= sendAll());
}

// Done when what was said is kept, or cannot be for now.
export const sent = async () => sending;

async function sendAll() {
  trouble = null;
  while (unsent.length && !trouble) {
    const { query_key, result, verdict, box, before } = unsent[0];
    try {
      await api.judge({ query_key, image_id: result.image_id, verdict, box });
      unsent.shift();
    } catch (error) {
      if (![400, 404, 422].includes(error.status)) trouble = error;
      else {
        unsent.shift();
        note(query_key, result, before);
        problem(error);
      }
    }
  }
  sending = null;
  tell();
}

export function startVerdicts() {
  addEventListener("online", send);
  addEventListener("beforeunload", (event) => trouble && unsent.length && event.preventDefault());
}
