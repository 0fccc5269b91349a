// Results as files: JSON as the server sent them, CSV with the columns of the command line, a sheet, and what the server
// writes for other programs.

import * as api from "./api.js";
import { download, el } from "./dom.js";

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

// What the server writes, the same as `patchseek search --format`; a folder comes as a zip.
const FORMATS = {
  coco: ["COCO", "json"],
  "coco-results": ["COCO detections", "json"],
  yolo: ["YOLO", "zip"],
  voc: ["Pascal VOC", "zip"],
  "label-studio": ["Label Studio", "json"],
  cvat: ["CVAT", "xml"],
  fiftyone: ["FiftyOne", "json"],
  annotations: ["Web Annotations", "json"],
  xmp: ["XMP sidecars", "zip"],
  crops: ["Cut-out pictures", "zip"],
  jsonl: ["JSON Lines", "jsonl"],
  parquet: ["Parquet", "parquet"],
};

document
  .querySelector('#export [data-form="sheet"]')
  .before(...Object.entries(FORMATS).map(([form, [name]]) => el("button", { type: "button", text: name, data: { form } })));

const text = (content, type) => new Blob([content], { type });
const json = (value) => text(JSON.stringify(value, null, 2) + "\n", "application/json");

// form: json, csv, sheet or one of FORMATS.
export async function exportResults(form, results, answer, query) {
  if (form === "json") download(json({ ...answer, results: results.map(({ partners, is_query, ...told }) => told) }), "patchseek-results.json");
  else if (form === "csv") download(text(csv(results), "text/csv"), "patchseek-results.csv");
  else if (form in FORMATS) {
    const shown = results.map(({ image_id, box, score, confidence, outline }) => ({ image_id, box, score, confidence, outline }));
    download(await api.exported({ format: form, results: shown }), `patchseek-${form}.${FORMATS[form][1]}`);
  }
  else {
    const asked = query && { query_id: query.query_id ?? null, image_id: query.image_id ?? null, box: query.box };
    const shown = results.slice(0, 100).map(({ image_id, box, score, confidence, outline }) => ({ image_id, box, score, confidence, outline }));
    download(await api.sheet({ query: asked ?? null, results: shown }), "patchseek-sheet.png");
  }
}
