// Where the picture stands that a box is drawn on: zoomed through a window, with buttons, and large on demand.

import { stepOf } from "./boxer.js";
import { $, el } from "./dom.js";
import { Zoom } from "./zoom.js";

const STEP = 1.6; // times, of a button or key

let shown = null; // the easel on the page

class Easel {
  constructor(boxer) {
    this.boxer = boxer;
    const room = el("div", { class: "easel-window" }, boxer.stage);
    this.zoom = new Zoom(room, boxer.stage, {
      yields: true,
      pixels: boxer.width,
      pans: (event) => event.button === 1 || (event.button === 0 && event.shiftKey) || this.#movesByFinger(event),
      onPinch: () => boxer.letGo(),
      onChange: () => this.#update(),
    });
    this.node = el("div", { class: "easel" }, room, this.#bar());
    const { onMove, onSettle } = boxer;
    boxer.onMove = (box) => {
      onMove(box);
      this.#update();
    };
    boxer.onSettle = (box) => {
      this.drawByFinger(false);
      if (box) this.zoom.reveal([boxer.shares[0] + boxer.shares[2] / 2, boxer.shares[1] + boxer.shares[3] / 2]);
      onSettle(box);
    };
    room.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.zoom.place()).observe(room);
    this.drawByFinger(false);
  }

  #bar() {
    const button = (text, label, click, kind) => el("button", { type: "button", class: kind, text, "aria-label": label, title: label, on: { click } });
    const byFinger = () => this.drawByFinger(!this.boxer.drawsByFinger);
    this.buttons = {
      draw: el("button", { type: "button", class: "by-finger", on: { click: byFinger } }),
      undo: button("↶", "Take back (Ctrl+Z)", () => this.boxer.undo(), "quiet icon"),
      out: button("−", "Zoom out of the photo", () => this.zoom.zoom(1 / STEP), "quiet icon"),
      fit: button("Fit", "Show the whole photo", () => this.zoom.fit(), "quiet"),
      larger: button("+", "Zoom into the photo", () => this.zoom.zoom(STEP), "quiet icon"),
      enlarge: button("", "Enlarge: show the photo large", () => this.enlarge(), "enlarge"),
    };
    this.buttons.enlarge.append(el("span", { class: "long", text: "Enlarge" }), el("span", { class: "short", text: "⤢" }));
    return el("div", { class: "row easel-bar", role: "group", "aria-label": "The photo" }, ...Object.values(this.buttons));
  }

  #update() {
    const { boxer, zoom, node } = this;
    const { draw, undo, out, fit, larger } = this.buttons;
    node.classList.toggle("zoomed", zoom.scale > 1);
    node.classList.toggle("drawing", boxer.drawsByFinger);
    draw.textContent = boxer.shares ? "Change the box" : "Draw a box";
    draw.setAttribute("aria-pressed", String(boxer.drawsByFinger));
    undo.disabled = !boxer.history.hasBefore;
    out.disabled = fit.disabled = zoom.scale === 1;
    larger.disabled = zoom.scale >= zoom.most;
  }

  #key(event) {
    const act = { "+": () => this.zoom.zoom(STEP), "-": () => this.zoom.zoom(1 / STEP), 0: () => this.zoom.fit() }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  // What is zoomed follows one finger, unless that draws or has taken a handle.
  #movesByFinger({ pointerType, target }) {
    return pointerType === "touch" && !this.boxer.drawsByFinger && this.zoom.scale > 1 && !target.dataset.at;
  }

  // Whether one finger draws; large, where nothing else could be scrolled, it always does.
  drawByFinger(isOn) {
    this.boxer.drawsByFinger = isOn || $("large").open;
    this.#update();
  }

  enlarge() {
    $("large-name").textContent = this.boxer.name;
    $("stage").style.minHeight = `${this.node.offsetHeight}px`; // the page stays as it is
    $("large").showModal();
    this.#moveTo("large-place");
    this.boxer.stage.focus();
  }

  // Back from the large view, unless another picture has taken its place.
  comeBack() {
    $("stage").style.minHeight = "";
    if (this.node.parentElement !== $("large-place")) return;
    this.#moveTo("stage");
    this.buttons.enlarge.focus({ preventScroll: true });
  }

  #moveTo(place) {
    $(place).replaceChildren(this.node);
    this.zoom.fit();
    this.drawByFinger(false);
  }
}

// The element that shows a Boxer's stage. The one before is forgotten.
export function onEasel(boxer) {
  if ($("large").open) $("large").close();
  shown = new Easel(boxer);
  return shown.node;
}

export function startEasel() {
  $("large-done").addEventListener("click", () => $("large").close());
  $("large").addEventListener("close", () => shown.comeBack());
  // boxes are taken back wherever the focus is, but where something is typed or another view lies on top
  document.addEventListener("keydown", (event) => {
    const by = stepOf(event);
    const isElsewhere = event.target.closest?.("input, textarea, dialog:not(#large)") || !shown?.node.checkVisibility();
    if (!by || isElsewhere || event.defaultPrevented) return;
    event.preventDefault();
    shown.boxer.undo(by);
  });
}
