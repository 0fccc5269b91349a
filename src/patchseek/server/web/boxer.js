// A picture on which one box can be drawn, moved and resized, with mouse, finger, pen or keyboard.
// Inside, a box is x y w h in shares of the picture; outside, in its whole pixels. Knows nothing of searching.

import { el } from "./dom.js";

const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const LEAST = 0.01; // share of a side
const STEP = 0.01;
const MOVED = 5; // screen pixels before a press counts as drawing

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Boxer {
  // onSettle(box or null) is called when a box has been let go of; onMove while it changes.
  constructor({ src, name, width, height, box = null, helpId = null, onSettle, onMove = () => {} }) {
    Object.assign(this, { name, width, height, onSettle, onMove });
    this.image = el("img", { src, alt: "", draggable: "false", width, height });
    this.frame = el("div", { class: "boxer-box", hidden: true }, ...HANDLES.map((at) => el("i", { class: `handle ${at}`, data: { at } })));
    this.light = el("i", { hidden: true }); // what the shade around the box leaves clear
    this.stage = el(
      "div",
      { class: "boxer", tabindex: "0", role: "application", "aria-roledescription": "picture with a box", "aria-describedby": helpId,
        style: { aspectRatio: `${width} / ${height}` } },
      this.image,
      el("div", { class: "boxer-shade" }, this.light),
      this.frame,
    );
    this.stage.style.setProperty("--ratio", width / height);
    this.stage.addEventListener("pointerdown", (event) => this.#press(event));
    this.stage.addEventListener("keydown", (event) => this.#key(event));
    this.shares = null;
    this.pixels = box;
  }

  get pixels() {
    if (!this.shares) return null;
    const [x, y, w, h] = this.shares;
    const left = clamp(Math.round(x * this.width), 0, this.width - 1);
    const top = clamp(Math.round(y * this.height), 0, this.height - 1);
    return [
      left,
      top,
      clamp(Math.round((x + w) * this.width) - left, 1, this.width - left),
      clamp(Math.round((y + h) * this.height) - top, 1, this.height - top),
    ];
  }

  set pixels(box) {
    this.#show(box && [box[0] / this.width, box[1] / this.height, box[2] / this.width, box[3] / this.height]);
  }

  #show(shares) {
    this.shares = shares;
    for (const part of [this.frame, this.light]) {
      part.hidden = !shares;
      const [left, top, width, height] = (shares ?? []).map((share) => `${100 * share}%`);
      if (shares) Object.assign(part.style, { left, top, width, height });
    }
    const box = this.pixels;
    const where = box ? `box at ${box[0]}, ${box[1]}, ${box[2]} wide, ${box[3]} high` : "no box, the whole picture is meant";
    this.stage.setAttribute("aria-label", `${this.name}, ${this.width} by ${this.height} pixels, ${where}`);
    this.onMove(box);
  }

  clear() {
    this.#show(null);
    this.onSettle(null);
  }

  #at(event) {
    const rect = this.stage.getBoundingClientRect();
    return [clamp((event.clientX - rect.left) / rect.width, 0, 1), clamp((event.clientY - rect.top) / rect.height, 0, 1)];
  }

  #press(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    event.stopPropagation();
    this.stage.classList.add("pointed"); // no ring for those who see where they press
    this.stage.focus({ preventScroll: true });
    const from = this.#at(event);
    const before = this.shares;
    const handle = event.target.dataset?.at;
    const drag = handle ? resizing(before, handle) : event.target === this.frame ? moving(before, from) : drawing(from);
    const start = [event.clientX, event.clientY];
    let isMoved = false;
    const move = (now) => {
      if (now.pointerId !== event.pointerId) return;
      isMoved ||= Math.hypot(now.clientX - start[0], now.clientY - start[1]) >= MOVED;
      if (isMoved) this.#show(drag(this.#at(now)));
    };
    const end = (now) => {
      if (now.pointerId !== event.pointerId) return;
      this.stage.removeEventListener("pointermove", move);
      this.stage.removeEventListener("pointerup", end);
      this.stage.removeEventListener("pointercancel", end);
      if (now.type === "pointercancel") this.#show(before);
      else if (isMoved) this.onSettle(this.pixels);
    };
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener("pointermove", move);
    this.stage.addEventListener("pointerup", end);
    this.stage.addEventListener("pointercancel", end);
  }

  #key(event) {
    this.stage.classList.remove("pointed");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (direction && this.shares) {
      const [x, y, w, h] = this.shares;
      const [dx, dy] = direction;
      this.#show(
        event.shiftKey
          ? [x, y, clamp(w + dx, LEAST, 1 - x), clamp(h + dy, LEAST, 1 - y)]
          : [clamp(x + dx, 0, 1 - w), clamp(y + dy, 0, 1 - h), w, h],
      );
      this.onSettle(this.pixels);
    } else if ((event.key === "Enter" || event.key === " ") && !this.shares) {
      this.#show([0.25, 0.25, 0.5, 0.5]);
      this.onSettle(this.pixels);
    } else if ((event.key === "Delete" || event.key === "Backspace") && this.shares) {
      this.clear();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const between = (ax, ay, bx, by) => [Math.min(ax, bx), Math.min(ay, by), Math.max(Math.abs(bx - ax), LEAST), Math.max(Math.abs(by - ay), LEAST)];
const inside = ([x, y, w, h]) => [clamp(x, 0, 1 - w), clamp(y, 0, 1 - h), w, h];
const drawing = ([ax, ay]) => ([bx, by]) => inside(between(ax, ay, bx, by));
const moving = ([x, y, w, h], [ax, ay]) => ([bx, by]) => [clamp(x + bx - ax, 0, 1 - w), clamp(y + by - ay, 0, 1 - h), w, h];

function resizing([x, y, w, h], at) {
  return ([bx, by]) => {
    const [ax, cx] = at.includes("w") ? [x + w, bx] : at.includes("e") ? [x, bx] : [x, x + w];
    const [ay, cy] = at.includes("n") ? [y + h, by] : at.includes("s") ? [y, by] : [y, y + h];
    return inside(between(ax, ay, cx, cy));
  };
}
