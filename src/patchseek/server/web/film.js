// Frames of films: when they are shown, in words, and the film opened there by the browser's own player.

import * as api from "./api.js";
import { $ } from "./dom.js";

const MOST = 3; // times at which it is seen that are named

// Seconds as players show them: 1:01, 1:02:03.
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (n) => String(n % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole)}` : `${Math.floor(minutes / 60)}:${two(minutes)}:${two(whole)}`;
}

const isFrame = ({ seconds }) => seconds !== undefined && seconds !== null;

// When a find is shown in its film; "" where it is in none.
export const momentOf = (found) => (isFrame(found) ? clock(found.seconds) : "");

// The same and the times at which the object is seen, for the full view.
export function timesOf(found) {
  if (!isFrame(found)) return "";
  const times = (found.ranges ?? []).map(([from, to]) => [...new Set([clock(from), clock(to)])].join("–"));
  const seen = times.length ? `, seen ${times.slice(0, MOST).join(", ")}${times.length > MOST ? " and later" : ""}` : "";
  return `at ${momentOf(found)}${seen} · `;
}

// The link of the full view, for the find that is shown.
export function offerFilm(found) {
  const link = $("open-film");
  link.hidden = !isFrame(found);
  link.textContent = `Open the film at ${momentOf(found)}`;
  if (isFrame(found)) link.href = api.film(found.image_id, found.seconds);
  else link.removeAttribute("href");
}
