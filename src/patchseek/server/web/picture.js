// A picture of the collection, large: at once as the thumbnail that the wall has shown already, then as itself.

import * as api from "./api.js";
import { el } from "./dom.js";

const KEPT = 8;
const fetched = new Map(); // image_id -> Image, the latest

// Fetch a picture, maybe before anybody asks for it.
export function fetchAhead(imageId) {
  const image = fetched.get(imageId) ?? new Image();
  fetched.delete(imageId);
  fetched.set(imageId, image);
  if (!image.src) image.src = api.picture(imageId);
  if (fetched.size > KEPT) fetched.delete(fetched.keys().next().value);
  return image;
}

const isThere = (image) => image.complete && image.naturalWidth > 0;

// An image of a result.
export function large({ image_id, image, width, height }, style = {}) {
  const whole = fetchAhead(image_id);
  const src = isThere(whole) ? whole.src : api.thumbnail(image_id, true);
  const shown = el("img", { src, alt: image, draggable: "false", decoding: "sync", width, height, style });
  if (!isThere(whole)) {
    whole.decode().then(
      () => (shown.src = whole.src),
      () => fetched.delete(image_id), // it stays a thumbnail, and is tried again the next time
    );
  }
  return shown;
}
