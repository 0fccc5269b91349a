// Pictures that are nearly the same as the find judged last: one key says the same of all of them.

import * as api from "./api.js";
import { $, count, el } from "./dom.js";

const SAID = { yes: "Yes", no: "No", unsure: "Unsure" };
const SHOWN = 4; // of them, small

let offered = null; // {key, leader, verdict, results}

// Those that are still to be judged.
export function sameOnes() {
  return { verdict: offered?.verdict, results: offered?.results.filter(({ verdict }) => !verdict) ?? [] };
}

export function hideSame() {
  offered = null;
  show();
}

// A find was judged: offer others of its query that look the same. Returns how many there are.
export function offerSame(result, verdict, results) {
  const isSame = (one) => one !== result && one.same_as && one.same_as === result.same_as && one.query_key === result.query_key;
  offered = { verdict, results: results.filter(isSame) };
  return show();
}

function show() {
  const { verdict, results } = sameOnes();
  const n = results.length;
  $("same").hidden = !n;
  if (!n) return 0;
  $("same-words").textContent = `${count(n, "more picture looks", "more pictures look")} the same: ${SAID[verdict]} for ${n === 1 ? "it" : "all"}?`;
  $("same-pictures").replaceChildren(...results.slice(0, SHOWN).map(({ image_id }) => el("img", { src: api.thumbnail(image_id), alt: "" })));
  return n;
}
