// A picture on which one box can be drawn, moved and resized, with mouse, finger, pen or keyboard.
// Inside, a box is x y w h in shares of the picture; outside, in its whole pixels. Knows nothing of searching, and of
// zooming only that its stage may be transformed (`--zoom` says how much) and is seen through its parent.

import { clamp, drawing, grown, moving, resizing, stepped } from "./boxes.js";
import { el } from "./dom.js";
import { History } from "./history.js";

const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const HANDLE = 28; // screen pixels, as in style.css
const LEAST = 4; // pixels of the picture
const STEP = 0.01; // of what is seen of the picture, about
const MOVED = { mouse: 6, pen: 6, touch: 10 }; // screen pixels before a press counts as a drag
const NEARLY_ALL = 0.9; // of each side
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Boxer {
  // onSettle(box or null) is called when a box has been let go of; onMove while it changes.
  constructor({ src, name, width, height, box = null, helpId = null, onSettle, onMove = () => {} }) {
    Object.assign(this, { name, width, height, onSettle, onMove });
    this.drawsByFinger = true; // where not, one finger moves handles alone, and the rest is left to whoever scrolls
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
    new ResizeObserver(() => this.#fitHandles()).observe(this.stage);
    new MutationObserver(() => this.#fitHandles()).observe(this.stage, { attributeFilter: ["style"] }); // zoomed
    this.onTap = () => {}; // told what was pressed and let go of without a drag
    this.letGo = () => {}; // of a drag under way, as if it had not begun
    this.#show(this.#asShares(box));
    this.history = new History(this.shares);
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
    this.#change(this.#asShares(box), "given");
  }

  #asShares(box) {
    return box && [box[0] / this.width, box[1] / this.height, box[2] / this.width, box[3] / this.height];
  }

  get #least() {
    return [Math.min(1, LEAST / this.width), Math.min(1, LEAST / this.height)];
  }

  #show(shares) {
    this.shares = shares;
    for (const part of [this.frame, this.light]) {
      part.hidden = !shares;
      const [left, top, width, height] = (shares ?? []).map((share) => `${100 * share}%`);
      if (shares) Object.assign(part.style, { left, top, width, height });
    }
    this.#fitHandles();
    const box = this.pixels;
    const where = box ? `box at ${box[0]}, ${box[1]}, ${box[2]} wide, ${box[3]} high` : "no box, the whole picture is meant";
    this.stage.setAttribute("aria-label", `${this.name}, ${this.width} by ${this.height} pixels, ${where}`);
    this.onMove(box);
  }

  // Another box, which can be taken back.
  #change(shares, kind) {
    this.history.note(shares, kind);
    this.#show(shares);
  }

  #settle(shares, kind = "") {
    this.#change(shares, kind);
    this.onSettle(this.pixels);
  }

  // A box x y w h in pixels of the picture, as if it had been drawn.
  take(box) {
    this.#settle(this.#asShares(box), "given");
  }

  clear() {
    this.#settle(null);
  }

  // Go a step back, -1, or forward, 1, among the boxes there were.
  undo(by = -1) {
    const shares = this.history.step(by);
    if (shares === undefined) return;
    this.#show(shares);
    this.onSettle(this.pixels);
  }

  // ---- on the screen

  // Of the box x y w h as it is drawn, and of the part of the picture that is seen.
  #onScreen() {
    const whole = this.stage.getBoundingClientRect();
    const through = (this.stage.parentElement ?? this.stage).getBoundingClientRect();
    const [x, y, w, h] = this.shares;
    const along = (start, size, low, high, from, share) => {
      const [seenFrom, seenTo] = [Math.max(start, low), Math.min(start + size, high)];
      const [boxFrom, boxTo] = [start + size * from, start + size * (from + share)];
      return { box: size * share, covered: (Math.min(boxTo, seenTo) - Math.max(boxFrom, seenFrom)) / Math.max(1, seenTo - seenFrom) };
    };
    return [
      along(whole.left, whole.width, through.left, through.right, x, w),
      along(whole.top, whole.height, through.top, through.bottom, y, h),
    ];
  }

  // Whether the box covers nearly everything that is seen, so that nobody takes hold of it.
  #coversAll() {
    return this.#onScreen().every(({ covered }) => covered >= NEARLY_ALL);
  }

  // Handles stand outside a box that they would hide, and those in the middle of a short side are left out.
  #fitHandles() {
    if (!this.shares || !this.stage.isConnected) return;
    const [across, down] = this.#onScreen();
    const { classList } = this.frame;
    classList.toggle("small", Math.min(across.box, down.box) < 3 * HANDLE);
    classList.toggle("narrow", across.box < 1.5 * HANDLE);
    classList.toggle("flat", down.box < 1.5 * HANDLE);
    classList.toggle("all", this.#coversAll());
  }

  #at(event) {
    const rect = this.stage.getBoundingClientRect();
    return [clamp((event.clientX - rect.left) / rect.width, 0, 1), clamp((event.clientY - rect.top) / rect.height, 0, 1)];
  }

  // What a press there does: a function from where it is dragged to, and whether the box is a new one.
  #dragFrom(event) {
    const handle = event.target.dataset?.at;
    if (handle) return [resizing(this.shares, handle, this.#least), false];
    if (event.target === this.frame && !this.#coversAll()) return [moving(this.shares, this.#at(event)), false];
    return [drawing(this.#at(event), this.#least), true];
  }

  #press(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    if (event.pointerType === "touch" && !this.drawsByFinger && !event.target.dataset?.at) return;
    event.preventDefault();
    event.stopPropagation();
    this.stage.classList.add("pointed"); // no ring for those who see where they press
    this.stage.focus({ preventScroll: true });
    const before = this.shares;
    const [drag, isNew] = this.#dragFrom(event);
    const far = MOVED[event.pointerType] ?? MOVED.mouse;
    let isMoved = false;
    const move = (now) => {
      if (now.pointerId !== event.pointerId) return;
      isMoved ||= Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) >= far;
      if (isMoved) this.#show(drag(this.#at(now)));
    };
    const end = (now) => {
      if (now && now.pointerId !== event.pointerId) return;
      this.letGo = () => {};
      this.stage.removeEventListener("pointermove", move);
      for (const type of ["pointerup", "pointercancel"]) this.stage.removeEventListener(type, end);
      if (!isMoved) return now?.type === "pointerup" ? this.onTap(event.target) : undefined;
      const isLine = isNew && this.#onScreen().some(({ box }) => box < far); // nobody means a box as thin as that
      if (now?.type !== "pointerup" || isLine) this.#show(before);
      else this.#settle(this.shares);
    };
    this.letGo = () => end(null);
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener("pointermove", move);
    for (const type of ["pointerup", "pointercancel"]) this.stage.addEventListener(type, end);
  }

  #key(event) {
    this.stage.classList.remove("pointed");
    const by = stepOf(event);
    if (by) this.undo(by);
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key in ARROWS && this.shares) {
      const step = STEP / (this.stage.getBoundingClientRect().width / this.stage.offsetWidth);
      const way = ARROWS[event.key].map((direction) => direction * step);
      this.#settle(event.shiftKey ? grown(this.shares, way, this.#least) : stepped(this.shares, way), "keys");
    } else if ((event.key === "Enter" || event.key === " ") && !this.shares) this.#settle([0.25, 0.25, 0.5, 0.5]);
    else if ((event.key === "Delete" || event.key === "Backspace") && this.shares) this.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// Where keys go among the boxes there were: -1 for Ctrl+Z, 1 for Shift+Ctrl+Z or Ctrl+Y, 0 for others.
export function stepOf({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  if (!(ctrlKey || metaKey) || altKey) return 0;
  const letter = key.toLowerCase();
  if (letter === "z") return shiftKey ? 1 : -1;
  return letter === "y" ? 1 : 0;
}
