// Where the picture stands that a box is drawn on: zoomed through a window, with buttons, and large on demand.

import { stepOf } from "./boxer.js";
import { $, el } from "./dom.js";
import { Zoom } from "./zoom.js";

const STEP = 1.6; // times, of a button or key

let shown = null; // {boxer, zoom, node, update}

const button = (text, label, click, more = {}) => el("button", { type: "button", text, "aria-label": label, title: label, on: { click }, ...more });

// The element that shows a Boxer's stage. Of the one before, nothing stays.
export function onEasel(boxer) {
  if ($("large").open) $("large").close();
  const room = el("div", { class: "easel-window" }, boxer.stage);
  const zoom = new Zoom(room, boxer.stage, {
    yields: true,
    pixels: boxer.width,
    pans: (event) => event.button === 1 || (event.button === 0 && event.shiftKey) || isByFinger(event),
    onPinch: () => boxer.letGo(),
    onChange: () => update(),
  });
  // one finger moves what is zoomed, unless it draws
  const isByFinger = ({ pointerType, target }) => pointerType === "touch" && !boxer.drawsByFinger && zoom.scale > 1 && !target.dataset.at;
  const draw = el("button", { type: "button", class: "by-finger", "aria-pressed": "false", on: { click: () => drawByFinger(!boxer.drawsByFinger) } });
  const undo = button("↶", "Take back (Ctrl+Z)", () => boxer.undo(), { class: "quiet icon" });
  const out = button("−", "Zoom out of the photo", () => zoom.zoom(1 / STEP), { class: "quiet icon" });
  const fit = button("Fit", "Show the whole photo", () => zoom.fit(), { class: "quiet" });
  const larger = button("+", "Zoom into the photo", () => zoom.zoom(STEP), { class: "quiet icon" });
  const enlarge = button("", "Enlarge: show the photo large", openLarge, { class: "enlarge" });
  enlarge.append(el("span", { class: "long", text: "Enlarge" }), el("span", { class: "short", text: "⤢" }));
  const node = el("div", { class: "easel" }, room, el("div", { class: "row easel-bar", role: "group", "aria-label": "The photo" }, draw, undo, out, fit, larger, enlarge));

  function drawByFinger(isOn) {
    boxer.drawsByFinger = isOn || $("large").open; // nothing else is there that could be scrolled
    update();
  }

  function update() {
    node.classList.toggle("zoomed", zoom.scale > 1);
    node.classList.toggle("drawing", boxer.drawsByFinger);
    draw.textContent = boxer.shares ? "Change the box" : "Draw a box";
    draw.setAttribute("aria-pressed", String(boxer.drawsByFinger));
    undo.disabled = !boxer.history.hasBefore;
    out.disabled = fit.disabled = zoom.scale === 1;
    larger.disabled = zoom.scale >= zoom.most;
  }

  const { onMove, onSettle } = boxer;
  boxer.onMove = (box) => {
    onMove(box);
    update();
  };
  boxer.onSettle = (box) => {
    drawByFinger(false);
    if (box) zoom.reveal([boxer.shares[0] + boxer.shares[2] / 2, boxer.shares[1] + boxer.shares[3] / 2]);
    onSettle(box);
  };
  room.addEventListener("keydown", (event) => {
    const act = { "+": () => zoom.zoom(STEP), "-": () => zoom.zoom(1 / STEP), 0: () => zoom.fit() }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  new ResizeObserver(() => zoom.place()).observe(room);
  shown = { boxer, zoom, node, drawByFinger };
  drawByFinger(false);
  return node;
}

function openLarge() {
  const { boxer, zoom, node, drawByFinger } = shown;
  $("large-name").textContent = boxer.name;
  $("stage").style.minHeight = `${node.offsetHeight}px`; // the page stays as it is
  $("large").showModal();
  $("large-place").replaceChildren(node);
  zoom.fit();
  drawByFinger(true);
  boxer.stage.focus();
}

function leaveLarge() {
  const { zoom, node, drawByFinger } = shown;
  $("stage").style.minHeight = "";
  if (node.parentElement !== $("large-place")) return; // another picture has taken its place
  $("stage").replaceChildren(node);
  zoom.fit();
  drawByFinger(false);
  node.querySelector(".enlarge").focus({ preventScroll: true });
}

export function startEasel() {
  $("large-done").addEventListener("click", () => $("large").close());
  $("large").addEventListener("close", leaveLarge);
  // boxes are taken back wherever the focus is, but where something is typed or another view lies on top
  document.addEventListener("keydown", (event) => {
    const by = stepOf(event);
    const isElsewhere = event.target.closest?.("input, textarea, dialog:not(#large)") || !shown?.node.isConnected || !shown.node.checkVisibility();
    if (!by || isElsewhere || event.defaultPrevented) return;
    event.preventDefault();
    shown.boxer.undo(by);
  });
}
