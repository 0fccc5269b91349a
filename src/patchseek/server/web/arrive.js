// On a small window, where results lie below what is looked for: they come into view, or a button leads there.

import { $ } from "./dom.js";

const EDGE = 80; // pixels of the results that must be seen at the window's lower edge
const BELOW = 0.6; // of the window's height: further down, nobody sees that there is an answer

let touched = -Infinity; // when the page was last touched
let waiting = false; // for a dialog to be closed

const isSmall = () => matchMedia("(max-width: 900px)").matches;

function scroll() {
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("answers").scrollIntoView({ behavior: isCalm ? "auto" : "smooth", block: "start" });
}

// A button leads to results that lie wholly below what is seen.
function offer() {
  $("to-results").hidden = $("answers").getBoundingClientRect().top < innerHeight - EDGE;
}

// Called when an answer has been shown that was asked for so many seconds ago. isMeant: it is to more than a whole
// photo, on which a box may still have to be drawn. Whoever has touched the page meanwhile is left where they are.
export function arrive(seconds, isMeant) {
  const isBelow = $("answers").getBoundingClientRect().top > BELOW * innerHeight;
  const isWanted = isMeant && isSmall() && isBelow && performance.now() - touched > 1000 * seconds;
  waiting = isWanted && document.querySelector("dialog[open]") !== null;
  if (isWanted && !waiting) scroll();
  offer();
}

export function startArriving() {
  for (const type of ["pointerdown", "keydown", "wheel"]) {
    addEventListener(type, () => (touched = performance.now()), { capture: true, passive: true });
  }
  document.addEventListener("close", () => {
    if (waiting) setTimeout(scroll); // when the dialog's own listeners are done
    [waiting, touched] = [false, -Infinity]; // whoever closed it waits for what comes
  }, true);
  $("to-results").addEventListener("click", () => {
    scroll();
    $("answers-title").focus({ preventScroll: true });
  });
  new IntersectionObserver(offer, { rootMargin: `0px 0px ${-EDGE}px 0px` }).observe($("answers"));
}
