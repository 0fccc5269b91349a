// Results as files: JSON as the server sent them, CSV with the columns of the command line, COCO detections, a sheet.

import * as api from "./api.js";
import { download } from "./dom.js";

const COLUMNS = ["rank", "image", "image_id", "score", "confidence", "x", "y", "w", "h", "bbox_format", "width", "height"];

// Text that no spreadsheet takes for a formula, quoted where it must be.
function field(value) {
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csv(results) {
  const rows = results.map((result) => {
    const [x, y, w, h] = result.box;
    const flat = { ...result, confidence: result.confidence ?? "", x, y, w, h };
    return COLUMNS.map((name) => field(flat[name])).join(",");
  });
  return [COLUMNS.join(","), ...rows].join("\n") + "\n";
}

// https://cocodataset.org/#format-results, with what its readers skip: the file and the size the box belongs to. An
// outline is a polygon.
export function coco(results) {
  return results.map((result) => ({
    image_id: result.image_id,
    category_id: 1,
    bbox: result.box,
    ...(result.outline && { segmentation: [result.outline.flat()] }),
    score: result.score,
    file_name: result.image,
    bbox_format: result.bbox_format,
    width: result.width,
    height: result.height,
  }));
}

const text = (content, type) => new Blob([content], { type });
const json = (value) => text(JSON.stringify(value, null, 2) + "\n", "application/json");

// form: json, csv, coco or sheet.
export async function exportResults(form, results, answer, query) {
  if (form === "json") download(json({ ...answer, results: results.map(({ partners, is_query, ...told }) => told) }), "patchseek-results.json");
  else if (form === "csv") download(text(csv(results), "text/csv"), "patchseek-results.csv");
  else if (form === "coco") download(json(coco(results)), "patchseek-coco.json");
  else {
    const asked = query && { query_id: query.query_id ?? null, image_id: query.image_id ?? null, box: query.box };
    const shown = results.slice(0, 100).map(({ image_id, box, score, confidence, outline }) => ({ image_id, box, score, confidence, outline }));
    download(await api.sheet({ query: asked ?? null, results: shown }), "patchseek-sheet.png");
  }
}
