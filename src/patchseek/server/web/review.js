// Judging the finds of the full view one after another: yes, no, unsure; the last one taken back; the box corrected.
// Those that show nearly the same picture may be judged as one.

import { Boxer } from "./boxer.js";
import * as api from "./api.js";
import { $ } from "./dom.js";
import { hideSame, offerSame, sameOnes } from "./same.js";
import { judge, onVerdict, send, waiting } from "./verdicts.js";

const SAID = { yes: "Yes", no: "No", unsure: "Unsure" };

let view = null; // see startReview
let said = []; // what was before each judgement of what is shown, the latest last: a list of {result, verdict, box}
let isTurning = false; // the next find is on its way: nobody has seen it
let boxer = null; // on the box that is being corrected

const placeOf = (result) => result.judged_box ?? result.box;
const keyOf = (result) => result.query_key ?? view.tools().queryKey;

// Another query's finds are shown.
export function beginReview(queryKey) {
  said = [];
  hideSame();
  $("review").hidden = !queryKey;
}

// Another find is shown.
export function showReview() {
  boxer = null;
  const { verdict } = view.result();
  for (const button of $("review").querySelectorAll("[data-verdict]")) button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
  $("correct-box").setAttribute("aria-pressed", "false");
  $("correct-words").textContent = "Correct box";
  showProgress();
}

function showProgress() {
  if (!view.isOpen()) return;
  const n = view.results().filter(({ verdict }) => verdict).length;
  $("review-words").textContent = view.tools().progress?.(n) ?? `${n} judged`;
  $("take-back").disabled = !said.length;
  const { n: left, trouble } = waiting();
  $("unsent").hidden = !trouble;
  if (trouble) $("unsent-words").textContent = `${left} not kept yet. ${trouble.message}`;
}

async function say(verdict) {
  if ($("review").hidden || isTurning) return;
  const result = view.result();
  const corrected = boxer?.pixels;
  remember(result);
  judge(keyOf(result), result, verdict, corrected ?? placeOf(result));
  view.begin();
  const n = offerSame(result, verdict, view.results());
  await turn(`${SAID[verdict]}: ${result.image}. ${n ? `${n} more look the same, G judges them so, too. ` : ""}`);
}

async function turn(words) {
  isTurning = true;
  const isTurned = await view.go(1, words, true);
  isTurning = false;
  if (!isTurned && view.isOpen()) view.show(`${words}That was the last one. `);
}

function remember(...results) {
  said.push(results.map((result) => ({ result, verdict: result.verdict ?? null, box: placeOf(result) })));
}

// What was said last, of all that look the same.
function sayOfSame() {
  const { verdict, results } = sameOnes();
  if (!results.length || isTurning) return;
  remember(...results);
  for (const result of results) judge(keyOf(result), result, verdict, placeOf(result));
  hideSame();
  const words = `${SAID[verdict]} for ${results.length} that look the same. `;
  if (results.includes(view.result())) turn(words);
  else view.show(words);
}

function takeBack() {
  if ($("review").hidden || !said.length) return;
  hideSame();
  const places = said.pop().map(({ result, verdict, box }) => {
    const at = view.results().findIndex((one) => one.image_id === result.image_id && keyOf(one) === keyOf(result));
    if (at >= 0) judge(keyOf(result), view.results()[at], verdict, box);
    return at;
  });
  const at = places.find((place) => place >= 0);
  if (at === undefined) return takeBack(); // they are no longer among the results
  view.goTo(at, `Taken back: ${view.results()[at].image}. `);
}

// ---- the box

function correct() {
  if ($("review").hidden) return;
  if (boxer) return keep();
  const { image_id, image, width, height } = view.result();
  boxer = new Boxer({ src: api.picture(image_id), name: image, width, height, box: placeOf(view.result()), onSettle: () => {} });
  view.draw(boxer);
  $("correct-box").setAttribute("aria-pressed", "true");
  $("correct-words").textContent = "Keep box";
}

// The box as it now is; who says where a thing is says that it is there, unless not sure.
function keep() {
  const [result, box] = [view.result(), boxer.pixels];
  boxer = null;
  const isChanged = box && String(box) !== String(placeOf(result));
  if (isChanged) {
    remember(result);
    judge(keyOf(result), result, result.verdict === "unsure" ? "unsure" : "yes", box);
  }
  view.show(isChanged ? "Box kept. " : "");
}

// The keys that judge.
export function reviewKeys() {
  const keys = { y: () => say("yes"), n: () => say("no"), u: () => say("unsure"), z: takeBack, b: correct, g: sayOfSame };
  return boxer ? { ...keys, Enter: keep } : keys;
}

// of: result(), results(), tools(), isOpen(), begin(), show(words), go(step, words, isJudging), goTo(at, words), draw(boxer).
export function startReview(of) {
  view = of;
  for (const button of $("review").querySelectorAll("[data-verdict]")) button.addEventListener("click", () => say(button.dataset.verdict));
  $("take-back").addEventListener("click", takeBack);
  $("correct-box").addEventListener("click", correct);
  $("same-button").addEventListener("click", sayOfSame);
  $("unsent-again").addEventListener("click", send);
  onVerdict(showProgress);
}
