// Light outlines of what may be meant in a picture, until there is a box: a tap, a click or Enter takes one.

import * as api from "./api.js";
import { $, el, say } from "./dom.js";

const area = ([, , w, h]) => w * h;

// Show them on a Boxer that has no box, once the server has told them. What cannot be had is not missed: it is an offer.
export async function propose(boxer, query) {
  $("proposed-help").hidden = true;
  if (query.box) return;
  try {
    query.proposals ??= (await api.proposals(query)).boxes;
  } catch {
    return;
  }
  if (!query.proposals.length || !boxer.stage.isConnected) return; // another picture may have taken its place
  const taken = new Map();
  const take = (outline) => {
    if (!taken.has(outline)) return;
    boxer.take(taken.get(outline));
    boxer.stage.focus({ preventScroll: true });
    say("The proposed box is taken");
  };
  query.proposals.forEach((box, i, boxes) => {
    const [x, y, w, h] = box;
    const outline = el("button", {
      type: "button",
      class: "proposal",
      "aria-label": `Take proposed box ${i + 1} of ${boxes.length}: at ${x}, ${y}, ${w} wide, ${h} high`,
      style: {
        left: `${(100 * x) / query.width}%`,
        top: `${(100 * y) / query.height}%`,
        width: `${(100 * w) / query.width}%`,
        height: `${(100 * h) / query.height}%`,
        zIndex: boxes.filter((other) => area(other) > area(box)).length, // the smaller on top, where each can be pressed
      },
      on: {
        click: () => take(outline),
        keydown: (event) => (event.key === "Enter" || event.key === " ") && event.stopPropagation(), // these make a box elsewhere
      },
    });
    taken.set(outline, box);
  });
  const { onMove } = boxer;
  const show = (isFree) => [...taken.keys(), $("proposed-help")].forEach((one) => (one.hidden = !isFree));
  boxer.onTap = take;
  boxer.onMove = (box) => {
    onMove(box);
    show(!box);
  };
  show(!boxer.shares);
  boxer.frame.before(...taken.keys());
}
