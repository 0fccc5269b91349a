// The full view of a result: zoom, pan, go on to the next, see why it was found, search a region of it.

import * as api from "./api.js";
import { Boxer } from "./boxer.js";
import { names } from "./cards.js";
import { $, el, overlays, problem } from "./dom.js";
import { countOf, whySheet } from "./why.js";

const MOST = 12; // times

let shown = null; // {results, at, tools}
let view = { scale: 1, x: 0, y: 0 };
let sheet = null; // the element that is zoomed
let boxer = null;
let isWhy = false; // what was asked stands beside the picture
const pointers = new Map();

const result = () => shown.results[shown.at];

export function openViewer(results, at, tools) {
  shown = { results, at, tools };
  if (!$("viewer").open) $("viewer").showModal();
  show();
}

function show() {
  const { image, image_id, width, height, rank, score, confidence, changed } = result();
  boxer = null;
  $("viewer-name").replaceChildren(...names(image));
  $("viewer-name").title = image;
  const isKnown = confidence !== undefined && confidence !== null;
  const surety = isKnown ? `${Math.round(100 * confidence)} % sure` : `score ${score.toFixed(3)}`;
  const sure = changed ? "changed since it was indexed: index again" : surety;
  const why = isWhy && isKnown ? ` · score ${score.toFixed(3)}` : "";
  $("viewer-facts").textContent = `${rank} of ${shown.results.length} · ${sure}${why} · ${width} × ${height}`;
  const stage = $("viewer-stage");
  sheet = isWhy ? whySheet(result(), shown.tools.asked, [stage.clientWidth, stage.clientHeight]) : pictureSheet(result());
  stage.replaceChildren(sheet, ...(isWhy ? [el("p", { class: "why-words", text: countOf(result()) })] : []));
  $("viewer-prev").disabled = shown.at === 0;
  $("viewer-next").disabled = shown.at === shown.results.length - 1;
  $("region").hidden = false;
  $("region-go").hidden = true;
  $("why").hidden = !canSayWhy();
  $("why").setAttribute("aria-pressed", String(isWhy));
  $("exclude-this").hidden = !shown.tools.features.exclude;
  $("open-folder").hidden = !shown.tools.features.open_folder;
  $("copy-path").textContent = shown.tools.features.paths ? "Copy path" : "Copy name";
  $("viewer-status").textContent = `${image}, result ${rank}, ${sure}${isWhy ? `, ${countOf(result())}` : ""}`;
  fit();
}

function pictureSheet({ image, image_id, width, height, ...others }) {
  const made = el(
    "div",
    { class: "viewer-sheet clipped", style: { aspectRatio: `${width} / ${height}` } },
    el("img", { src: api.picture(image_id), alt: image, draggable: "false", width, height }),
    ...overlays({ width, height, ...others }),
  );
  made.style.setProperty("--ratio", width / height);
  return made;
}

// Words alone have no picture that could stand beside.
const canSayWhy = () => Boolean(shown.tools.features.why && shown.tools.asked.length);

function switchWhy() {
  if (!canSayWhy()) return;
  isWhy = !isWhy;
  show();
}

async function go(step) {
  const next = shown.at + step;
  if (next < 0) return;
  if (next >= shown.results.length - 3) await shown.tools.more?.();
  if (next >= shown.results.length) return;
  shown.at = next;
  shown.tools.turned?.(result());
  show();
}

// ---- zoom and pan

function place() {
  sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  sheet.style.setProperty("--zoom", view.scale);
}

function fit() {
  view = { scale: 1, x: 0, y: 0 };
  place();
}

// Zoom by a factor around a point of the screen, which stays where it is.
function zoom(factor, clientX, clientY) {
  const rect = $("viewer-stage").getBoundingClientRect();
  const scale = Math.min(MOST, Math.max(1, view.scale * factor));
  const [px, py] = [clientX - rect.left - rect.width / 2, clientY - rect.top - rect.height / 2];
  const ratio = scale / view.scale;
  view = scale === 1 ? { scale, x: 0, y: 0 } : { scale, x: px - (px - view.x) * ratio, y: py - (py - view.y) * ratio };
  place();
}

function zoomMiddle(factor) {
  const rect = $("viewer-stage").getBoundingClientRect();
  zoom(factor, rect.left + rect.width / 2, rect.top + rect.height / 2);
}

function press(event) {
  if (boxer) return;
  $("viewer-stage").setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, event);
}

function drag(event) {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const others = [...pointers.values()].filter((pointer) => pointer.pointerId !== event.pointerId);
  if (others.length === 1) {
    const [other] = others;
    const distance = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
    zoom(distance(event) / Math.max(1, distance(before)), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
  } else if (!others.length && view.scale > 1) {
    view.x += event.clientX - before.clientX;
    view.y += event.clientY - before.clientY;
    place();
  }
  pointers.set(event.pointerId, event);
}

// ---- what can be done with the picture

function chooseRegion() {
  const { image_id, image, width, height, box } = result();
  boxer = new Boxer({ src: api.picture(image_id), name: image, width, height, box, onSettle: () => {} });
  boxer.stage.classList.add("viewer-sheet");
  $("viewer-stage").replaceChildren(boxer.stage);
  sheet = boxer.stage;
  if (isWhy) fit(); // another sheet, another size
  else place();
  isWhy = false;
  $("why").setAttribute("aria-pressed", "false");
  $("region").hidden = true;
  $("region-go").hidden = false;
  boxer.stage.focus();
}

function searchRegion() {
  const { searchRegion: search } = shown.tools;
  const [picture, box] = [result(), boxer.pixels];
  $("viewer").close();
  search(picture, box);
}

// Browsers lend their clipboard to pages from this machine or over TLS; elsewhere the old way must do.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { class: "sr-only", "aria-hidden": "true" });
  area.value = text;
  $("viewer").append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

async function copyPath() {
  try {
    const { file, image } = await api.image(result().image_id);
    await copy(file ?? image);
    $("copy-path").textContent = "Copied";
  } catch (error) {
    problem(error);
  }
}

function key(event) {
  const keys = { ArrowLeft: () => go(-1), ArrowRight: () => go(1), "+": () => zoomMiddle(1.4), "-": () => zoomMiddle(1 / 1.4), 0: fit, w: switchWhy };
  const act = keys[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
}

export function startViewer() {
  const stage = $("viewer-stage");
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener("pointerdown", press);
  stage.addEventListener("pointermove", drag);
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
  stage.addEventListener("dblclick", (event) => (view.scale > 1 ? fit() : zoom(2.5, event.clientX, event.clientY)));
  $("viewer").addEventListener("keydown", key);
  $("zoom-in").addEventListener("click", () => zoomMiddle(1.4));
  $("zoom-out").addEventListener("click", () => zoomMiddle(1 / 1.4));
  $("zoom-fit").addEventListener("click", fit);
  $("why").addEventListener("click", switchWhy);
  $("viewer-prev").addEventListener("click", () => go(-1));
  $("viewer-next").addEventListener("click", () => go(1));
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("close", () => {
    pointers.clear();
    isWhy = false;
  });
  $("region").addEventListener("click", chooseRegion);
  $("region-go").addEventListener("click", searchRegion);
  $("copy-path").addEventListener("click", copyPath);
  $("exclude-this").addEventListener("click", () => {
    shown.tools.exclude(result());
    $("viewer").close();
  });
  $("open-folder").addEventListener("click", () => api.reveal(result().image_id).catch(problem));
}
