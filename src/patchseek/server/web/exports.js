// Results as files: JSON as the server sent them, contact sheets, and what the server writes for other programs.

import * as api from "./api.js";
import { download, el } from "./dom.js";
import { asJudged } from "./stamps.js";
import { limitsInWords } from "./where.js";

const SHEET = 100; // results on a contact sheet

// What the server writes, the same as `patchseek search --format`; a folder comes as a zip.
const FORMATS = {
  csv: ["CSV", "csv"],
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

// What a file is called: as what was searched with.
function fileOf(query, what) {
  const name = (query?.name ?? "words").replace(/^.*\//, "").replace(/\.[^.]*$/, "");
  return `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 80) || "patchseek"}-${what}`;
}

const part = ({ rank, image_id, box, score, confidence, outline, boxes, verdict, judged_box }) => ({ rank, image_id, box, score, confidence, outline, boxes, verdict, judged_box });

// form: json, sheet or one of FORMATS. query: what was searched with, null for words alone.
export async function exportResults(form, results, answer, query) {
  if (form === "json") {
    const told = { ...answer, results: results.map(({ partners, is_query, ...told }) => told) };
    download(new Blob([JSON.stringify(told, null, 2) + "\n"], { type: "application/json" }), fileOf(query, "results.json"));
  } else if (form in FORMATS) {
    const asked = { image: answer.query.image ?? answer.query.text ?? "", box: answer.query.box, limits: limitsInWords() };
    download(await api.exported({ format: form, results: results.map(part), query: asked }), fileOf(query, `${form}.${FORMATS[form][1]}`));
  } else {
    const asked = query && { query_id: query.query_id ?? null, image_id: query.image_id ?? null, box: query.box };
    for (let from = 0; from < results.length; from += SHEET) {
      const shown = results.slice(from, from + SHEET).map(asJudged).map(({ image_id, box, score, confidence, outline }) => ({ image_id, box, score, confidence, outline }));
      const which = results.length > SHEET ? `sheet-${from / SHEET + 1}` : "sheet";
      download(await api.sheet({ query: asked ?? null, results: shown }), fileOf(query, `${which}.png`));
    }
  }
}
