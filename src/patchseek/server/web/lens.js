// Zoom and pan of what stands in the full view, by wheel, drag and two fingers; one finger turns to the next.

const MOST = 12; // times
const SWIPE = 48; // pixels of the screen, more sideways than up or down

export class Lens {
  // turn(step): a finger has been drawn to the left, 1, or to the right, -1. isOff: whether drags mean something else.
  constructor(stage, { turn, isOff }) {
    Object.assign(this, { stage, turn, isOff, sheet: null, view: { scale: 1, x: 0, y: 0 } });
    this.pointers = new Map();
    this.swiped = null; // the press of a finger that may become a swipe
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#press(event));
    stage.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.#release(event));
    stage.addEventListener("dblclick", (event) => (this.view.scale > 1 ? this.fit() : this.zoom(2.5, event.clientX, event.clientY)));
  }

  // Look at another sheet, a child of the stage; at all of it, or as at the one before.
  lookAt(sheet, isFit = true) {
    this.sheet = sheet;
    if (isFit) this.fit();
    else this.#place();
  }

  #place() {
    const { scale, x, y } = this.view;
    this.sheet.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.sheet.style.setProperty("--zoom", scale);
  }

  fit() {
    this.view = { scale: 1, x: 0, y: 0 };
    this.#place();
  }

  // By a factor around a point of the screen, which stays where it is; without one, around the middle.
  zoom(factor, clientX, clientY) {
    const rect = this.stage.getBoundingClientRect();
    const before = this.view;
    const scale = Math.min(MOST, Math.max(1, before.scale * factor));
    const [px, py] = clientX === undefined ? [0, 0] : [clientX - rect.left - rect.width / 2, clientY - rect.top - rect.height / 2];
    const ratio = scale / before.scale;
    this.view = scale === 1 ? { scale, x: 0, y: 0 } : { scale, x: px - (px - before.x) * ratio, y: py - (py - before.y) * ratio };
    this.#place();
  }

  #press(event) {
    if (this.isOff()) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    const isAlone = this.pointers.size === 1 && event.pointerType === "touch" && this.view.scale === 1;
    this.swiped = isAlone ? event : null;
  }

  #drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const others = [...this.pointers.values()].filter((pointer) => pointer.pointerId !== event.pointerId);
    if (others.length === 1) {
      const [other] = others;
      const distance = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
      this.zoom(distance(event) / Math.max(1, distance(before)), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
    } else if (!others.length && this.view.scale > 1) {
      this.view.x += event.clientX - before.clientX;
      this.view.y += event.clientY - before.clientY;
      this.#place();
    }
    this.pointers.set(event.pointerId, event);
  }

  #release(event) {
    this.pointers.delete(event.pointerId);
    const from = this.swiped;
    if (from?.pointerId !== event.pointerId) return;
    this.swiped = null;
    const [across, down] = [event.clientX - from.clientX, event.clientY - from.clientY];
    const isSwipe = event.type === "pointerup" && Math.abs(across) > Math.max(SWIPE, 1.5 * Math.abs(down));
    if (isSwipe) this.turn(across < 0 ? 1 : -1);
  }

  // Forget fingers that are still down.
  letGo() {
    this.pointers.clear();
    this.swiped = null;
  }
}
