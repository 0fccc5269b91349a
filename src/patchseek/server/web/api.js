// Every request of the page, and errors in plain words.

// Where the page lies on its host, such as "/" or "/patchseek/": this file is web/api.js below it.
export const ROOT = new URL("..", import.meta.url).pathname;

export class Problem extends Error {
  // failures: {image, reason} of files that were sent in vain, where the server tells them.
  constructor(message, status, failures) {
    super(message);
    Object.assign(this, { status, failures });
  }
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

// The answer to a request; `form` (FormData) or `json` is sent with it. A busy server is asked again a few times.
// heard: is told how much of the form is sent, 0 to 1.
async function ask(path, { method = "GET", form, json, accept, signal, keepalive = false, heard } = {}) {
  for (let attempt = 0; ; attempt++) {
    let answer;
    try {
      answer = await (heard ? send(path, form, signal, heard) : fetch(path, {
        method,
        signal,
        keepalive,
        body: form ?? (json && JSON.stringify(json)),
        headers: { ...(json && { "content-type": "application/json" }), ...(accept && { accept }) },
      }));
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("The server does not answer. Is it still running?", 0);
    }
    if (answer.ok) return answer;
    if (answer.status === 429 && attempt < 4) {
      await pause(Number(answer.headers.get("retry-after")) || 1);
      continue;
    }
    throw await refusal(answer);
  }
}

// The answer to a form, as `fetch` gives it, which does not tell how much has been sent.
function send(path, form, signal, heard) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const { upload } = request;
    request.open("POST", path);
    upload.addEventListener("progress", ({ loaded, total }) => heard(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const { status, statusText, response } = request;
      resolve(new Response(response, { status, statusText, headers: { "retry-after": request.getResponseHeader("retry-after") ?? "" } }));
    });
    request.addEventListener("error", () => reject(new TypeError("no answer")));
    request.addEventListener("abort", () => reject(new DOMException("given up", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) reject(signal.reason);
    else request.send(form);
  });
}

async function refusal(answer) {
  if (answer.status === 401) return new Problem("This server needs its token: open the whole address that it printed at its start.", 401);
  try {
    const { detail, failures } = await answer.json();
    return new Problem(sentence(detail), answer.status, failures);
  } catch {
    return new Problem(`The server answered ${answer.status} ${answer.statusText}.`, answer.status);
  }
}

// A sentence begins with a capital, unless with a name that would be another one then, and ends with a stop.
const sentence = (words) => (/^[a-z]+ /.test(words) ? words.charAt(0).toUpperCase() + words.slice(1) : words) + (/[.!?]$/.test(words) ? "" : ".");

const json = async (path, options) => (await ask(path, options)).json();

export const places = () => json(`${ROOT}api/places`);
export const collection = () => json(`${ROOT}api/collection`);
export const images = (skip, limit, name = "") =>
  json(`${ROOT}api/images?${new URLSearchParams({ skip, limit, name })}`);
export const image = (id) => json(`${ROOT}api/images/${id}`);
export const thumbnail = (id, large = false) => `${ROOT}api/images/${id}/thumbnail${large ? "?large=true" : ""}`;
export const picture = (id) => `${ROOT}api/images/${id}/picture`;
// A place in it is named as W3C Media Fragments do.
export const film = (id, seconds) => `${ROOT}api/images/${id}/film#t=${seconds}`;
export const query = (id) => json(`${ROOT}api/queries/${encodeURIComponent(id)}`);
export const queryPicture = (id) => `${ROOT}api/queries/${encodeURIComponent(id)}/picture`;
export const proposals = ({ query_id, image_id }) =>
  json(`${ROOT}api/${query_id ? `queries/${encodeURIComponent(query_id)}` : `images/${image_id}`}/proposals`);
export const reveal = (id) => ask(`${ROOT}api/images/${id}/reveal`, { method: "POST" });
export const removeImage = (id) => json(`${ROOT}api/images/${id}`, { method: "DELETE" });
export const jobs = () => json(`${ROOT}api/jobs`);
export const cancelJob = (id) => json(`${ROOT}api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
export const folder = (id) => json(`${ROOT}api/folders/${id}`);
export const indexFolder = (id) => json(`${ROOT}api/folders/${id}/index`, { method: "POST" });
export const sheet = async (body) => (await ask(`${ROOT}api/sheet`, { method: "POST", json: body })).blob();
export const exported = async (body) => (await ask(`${ROOT}api/export`, { method: "POST", json: body })).blob();
// Keep what was said of a find: {query_key, image_id, verdict, box}. It is sent though the page is closed meanwhile.
export const judge = (body) => json(`${ROOT}api/judgements`, { method: "PUT", json: body, keepalive: true });
export const savedQueries = async () => (await json(`${ROOT}api/saved`)).queries;
export const saveQuery = (body) => json(`${ROOT}api/saved`, { method: "POST", json: body });
export const removeSaved = (key) => json(`${ROOT}api/saved/${key}`, { method: "DELETE" });
export const runSaved = (body) => json(`${ROOT}api/runs`, { method: "POST", json: body });
// A saved query and its finds: {query, total, finds}. options: which, skip, limit.
export const finds = (key, options) => json(`${ROOT}api/saved/${key}?${new URLSearchParams(options)}`);
// What is kept of a view; with a box of it, what is there, small.
export const kept = (sha256, box = null) => `${ROOT}api/kept/${sha256}${box ? `?small=true&box=${box}` : ""}`;
export const judgements = async (body) => (await ask(`${ROOT}api/judgements`, { method: "POST", json: body })).blob();

export function sendQuery(file, signal, heard) {
  const form = new FormData();
  form.append("image", file, file.name || "pasted picture");
  return json(`${ROOT}api/queries`, { method: "POST", form, signal, heard });
}

export function addImages(files, options) {
  const form = new FormData();
  for (const file of files) form.append("image", file, file.name);
  return json(`${ROOT}api/images`, { method: "POST", form, ...options });
}

// Queries in the order in which an answer has them: those that were sent first, then those of the collection.
export const ordered = (queries) => [...queries.filter((query) => query.query_id), ...queries.filter((query) => !query.query_id)];

// The answer to a search. queries: [{query_id or image_id, box: [x, y, w, h] or null}]. options: other fields. heard is
// called before with the answer so far, {answer, is_final: false}, and with {progress: {doing, done, total}}.
export async function search(queries, options, signal, heard = () => {}) {
  const form = new FormData();
  for (const query of ordered(queries)) {
    if (query.query_id) form.append("query_id", query.query_id);
    else form.append("image_id", query.image_id);
    form.append("box", query.box ? query.box.join(",") : "");
  }
  for (const [name, value] of Object.entries(options)) {
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, one);
  }
  const sent = await ask(`${ROOT}api/search`, { method: "POST", form, accept: "application/x-ndjson", signal });
  if (sent.headers.get("content-type") === "application/json") return sent.json(); // something between wants it whole
  let last = {};
  for await (const line of lines(sent.body)) {
    if (!line.is_final && !line.problem) heard(line);
    last = line;
  }
  if (last.problem) throw new Problem(sentence(last.problem.detail), last.problem.status);
  if (!last.is_final) throw new Problem("The server broke off its answer.", 0);
  return last.answer;
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", part = {}; !part.done; ) {
    part = await reader.read();
    const whole = (rest + (part.value ?? "")).split("\n");
    rest = whole.pop();
    for (const line of whole) yield JSON.parse(line);
  }
}

// Follow a job; `heard` is called with each record, the last one included. Returns a function that stops following.
export function watchJob(id, heard) {
  const source = new EventSource(`${ROOT}api/jobs/${encodeURIComponent(id)}/events`);
  source.addEventListener("progress", (event) => heard(JSON.parse(event.data)));
  source.addEventListener("end", (event) => {
    source.close();
    heard(JSON.parse(event.data));
  });
  return () => source.close();
}
