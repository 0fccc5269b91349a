// Judging the finds of the full view one after another: yes, no, unsure; the last one taken back; the box corrected.

import { Boxer } from "./boxer.js";
import * as api from "./api.js";
import { $ } from "./dom.js";
import { judge, onVerdict, send, waiting } from "./verdicts.js";

const SAID = { yes: "Yes", no: "No", unsure: "Unsure" };

let view = null; // see startReview
let said = []; // {imageId, verdict, box} before each judgement of what is shown, the latest last
let isTurning = false; // the next find is on its way: nobody has seen it
let boxer = null; // on the box that is being corrected

const placeOf = (result) => result.judged_box ?? result.box;

// Another query's finds are shown.
export function beginReview(queryKey) {
  said = [];
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
  $("review-words").textContent = `${view.results().filter(({ verdict }) => verdict).length} judged`;
  $("take-back").disabled = !said.length;
  const { n, trouble } = waiting();
  $("unsent").hidden = !trouble;
  if (trouble) $("unsent-words").textContent = `${n} not kept yet. ${trouble.message}`;
}

async function say(verdict) {
  if ($("review").hidden || isTurning) return;
  const result = view.result();
  const corrected = boxer?.pixels;
  remember(result);
  judge(view.queryKey(), result, verdict, corrected ?? placeOf(result));
  view.begin();
  const words = `${SAID[verdict]}: ${result.image}. `;
  isTurning = true;
  const isTurned = await view.go(1, words);
  isTurning = false;
  if (!isTurned && view.isOpen()) view.show(`${words}That was the last one. `);
}

function remember({ image_id, verdict, judged_box, box }) {
  said.push({ imageId: image_id, verdict: verdict ?? null, box: judged_box ?? box });
}

function takeBack() {
  if ($("review").hidden || !said.length) return;
  const { imageId, verdict, box } = said.pop();
  const at = view.results().findIndex(({ image_id }) => image_id === imageId);
  if (at < 0) return takeBack(); // it is no longer among the results
  const result = view.results()[at];
  judge(view.queryKey(), result, verdict, box);
  view.goTo(at, `Taken back: ${result.image}. `);
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
    judge(view.queryKey(), result, result.verdict === "unsure" ? "unsure" : "yes", box);
  }
  view.show(isChanged ? "Box kept. " : "");
}

// The keys that judge.
export function reviewKeys() {
  const keys = { y: () => say("yes"), n: () => say("no"), u: () => say("unsure"), z: takeBack, b: correct };
  return boxer ? { ...keys, Enter: keep } : keys;
}

// of: result(), results(), queryKey(), isOpen(), begin(), show(words), go(step, words), goTo(at, words), draw(boxer).
export function startReview(of) {
  view = of;
  for (const button of $("review").querySelectorAll("[data-verdict]")) button.addEventListener("click", () => say(button.dataset.verdict));
  $("take-back").addEventListener("click", takeBack);
  $("correct-box").addEventListener("click", correct);
  $("unsent-again").addEventListener("click", send);
  onVerdict(showProgress);
}
