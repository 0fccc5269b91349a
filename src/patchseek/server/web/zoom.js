// Zoom and pan of a sheet that is seen through a window: by wheel, two fingers, or a press that is said to pan.
// The sheet stands in the window's middle; its transform is set here, and --zoom for lines that are to stay thin.

import { clamp } from "./boxes.js";

const MOST = 12; // times; more where the picture has more pixels than are shown then
const SLACK = 40; // screen pixels that a zoomed sheet may be drawn away from the window's edge
const LINE = 16; // pixels of a wheel that counts in lines

export class Zoom {
  // pans(event): whether a press there moves the sheet. onPinch: a second finger has come. onChange: it is zoomed.
  // yields: whether a wheel that cannot zoom out further is left to the page. pixels: the width of the picture.
  constructor(room, sheet, { pans, onPinch = () => {}, onChange = () => {}, yields = false, pixels = 0 }) {
    Object.assign(this, { room, sheet, pans, onPinch, onChange, yields, pixels, scale: 1, x: 0, y: 0 });
    this.pointers = new Map();
    this.panned = null; // the pointer that moves the sheet
    const listen = (type, listener, options) => room.addEventListener(type, listener.bind(this), options);
    listen("wheel", this.#wheel, { passive: false });
    listen("pointerdown", this.#press, { capture: true });
    listen("pointermove", this.#move, { capture: true });
    for (const type of ["pointerup", "pointercancel"]) listen(type, this.#release, { capture: true });
    // the browser would scroll with two fingers
    listen("touchstart", (event) => event.touches.length > 1 && event.cancelable && event.preventDefault(), { passive: false });
  }

  get most() {
    return Math.max(MOST, (2 * this.pixels) / Math.max(1, this.sheet.offsetWidth));
  }

  fit() {
    [this.scale, this.x, this.y] = [1, 0, 0];
    this.place();
  }

  place() {
    const reach = (size, most) => (this.scale === 1 ? 0 : Math.max(0, (size * this.scale - most) / 2 + SLACK));
    const across = reach(this.sheet.offsetWidth, this.room.clientWidth);
    const down = reach(this.sheet.offsetHeight, this.room.clientHeight);
    [this.x, this.y] = [clamp(this.x, -across, across), clamp(this.y, -down, down)];
    this.sheet.style.transform = this.scale === 1 ? "" : `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.sheet.style.setProperty("--zoom", this.scale);
    this.onChange(this.scale);
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.place();
  }

  // By a factor around a point of the screen, which stays where it is; without one, around the window's middle.
  zoom(factor, clientX, clientY) {
    const rect = this.room.getBoundingClientRect();
    const [px, py] = clientX === undefined ? [0, 0] : [clientX - rect.left - rect.width / 2, clientY - rect.top - rect.height / 2];
    const scale = clamp(this.scale * factor, 1, this.most);
    const ratio = scale / this.scale;
    [this.scale, this.x, this.y] = [scale, px - (px - this.x) * ratio, py - (py - this.y) * ratio];
    this.place();
  }

  // Move the sheet so that a point of it, x y in shares, can be seen.
  reveal([x, y]) {
    if (this.scale === 1) return;
    const [sheet, seen] = [this.sheet.getBoundingClientRect(), this.room.getBoundingClientRect()];
    const [px, py] = [sheet.left + x * sheet.width, sheet.top + y * sheet.height];
    if (px >= seen.left && px <= seen.right && py >= seen.top && py <= seen.bottom) return;
    this.pan(seen.left + seen.width / 2 - px, seen.top + seen.height / 2 - py);
  }

  #wheel(event) {
    if (!event.cancelable) return; // the page is being scrolled
    const unit = event.deltaMode === 1 ? LINE : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    const isAcross = event.shiftKey || Math.abs(dx) > Math.abs(dy);
    if (this.yields && !event.ctrlKey && this.scale === 1 && (isAcross || dy > 0)) return;
    event.preventDefault();
    if (isAcross) this.pan(-(dx || dy), 0);
    else this.zoom(Math.exp(-dy / (event.ctrlKey ? 100 : 400)), event.clientX, event.clientY); // Ctrl: two fingers on a pad
  }

  #press(event) {
    if (event.pointerType === "touch") {
      this.pointers.set(event.pointerId, event);
      if (this.pointers.size === 2) this.onPinch();
      if (this.pointers.size > 1) return event.stopPropagation();
    }
    if (!this.pans(event)) return;
    event.preventDefault();
    event.stopPropagation();
    this.panned = event;
    this.room.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (before && this.pointers.size === 2) {
      const [other] = [...this.pointers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
      const distance = (pointer) => Math.max(1, Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY));
      this.zoom(distance(event) / distance(before), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
      this.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    } else if (this.panned?.pointerId === event.pointerId && this.pointers.size < 2) {
      this.pan(event.clientX - this.panned.clientX, event.clientY - this.panned.clientY);
    }
    if (this.panned?.pointerId === event.pointerId) this.panned = event;
    if (before) this.pointers.set(event.pointerId, event);
  }

  #release(event) {
    this.pointers.delete(event.pointerId);
    if (this.panned?.pointerId === event.pointerId) this.panned = null;
  }
}
