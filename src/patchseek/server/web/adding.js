// Pictures on their way into the collection: sent some at a time, with progress. What is bad is listed and stops none.

import * as api from "./api.js";
import { $, count, number, say } from "./dom.js";
import { follow } from "./jobs.js";
import { progressRow } from "./progress.js";

const GROUP = 200; // files a request
const SHARE = 0.98; // of what the server takes in one; a form has words of its own
const AHEAD = 2; // groups that may be on their way before the first of them is indexed

// Whether the system or the name of a file says that it is a picture.
export function isPicture({ type, name }) {
  const known = $("add-files").accept.split(",").filter((each) => each.startsWith("."));
  return type.startsWith("image/") || known.some((end) => name.toLowerCase().endsWith(end));
}

// Add files. failures: {image, reason} of what is already known to be bad. over: called when some are in.
export async function addFiles(files, over, { failures = [], nPassed = 0 } = {}) {
  if (!files.length && !failures.length && !nPassed) return;
  const stop = new AbortController();
  const row = progressRow($("jobs"), `Sending ${count(files.length, "picture")}`, () => stop.abort());
  row.show(0, "reading", "running");
  const bad = [...failures];
  if (nPassed) bad.push({ image: count(nPassed, "other file"), reason: "in a folder: no pictures by their names" });
  try {
    const { limits } = await api.collection();
    const good = [];
    for (const file of files) {
      const reason = await wrong(file, SHARE * limits.upload_bytes);
      if (reason) bad.push({ image: file.name, reason });
      else good.push(file);
    }
    await sendAll(groups(good, SHARE * limits.upload_bytes), { bad, over, row, stop, sent: 0, jobs: [] });
  } catch (error) {
    row.show(0, error.message, "failed");
    row.end(true, () => (row.row.remove(), addFiles(files, over, { failures, nPassed })));
  }
}

// Why a file cannot be sent; null where it can. Of a folder, browsers make a file that cannot be read.
async function wrong(file, most) {
  if (file.size > most) return `is ${number(file.size / 2 ** 20)} MB; this server takes up to ${number(most / SHARE / 2 ** 20)} MB`;
  try {
    await file.slice(0, 1).arrayBuffer();
    return null;
  } catch {
    return "cannot be read: it is a folder, or not there any more, or not for you";
  }
}

function groups(files, most) {
  const made = [];
  let bytes = Infinity;
  for (const file of files) {
    if (bytes + file.size > most || made.at(-1).length === GROUP) [bytes] = [0, made.push([])];
    made.at(-1).push(file);
    bytes += file.size;
  }
  return made;
}

// Send the groups that are left; where that fails, those that are left then can be sent again.
async function sendAll(left, turn) {
  const { bad, over, row, stop, jobs } = turn;
  const total = turn.sent + left.flat().reduce((sum, { size }) => sum + size, 0);
  row.end(false);
  while (left.length) {
    const [group] = left;
    const size = group.reduce((sum, file) => sum + file.size, 0);
    const heard = (share) => {
      const done = (turn.sent + share * size) / Math.max(1, total);
      row.show(done, share === 1 ? "looking at what was sent" : `${Math.round(100 * done)} % sent`, "running");
    };
    try {
      heard(0);
      await jobs.at(-AHEAD);
      stop.signal.throwIfAborted();
      jobs.push(follow(await api.addImages(group, { signal: stop.signal, heard }), $("jobs"), over));
    } catch (error) {
      if (error.name === "AbortError") return finish("cancelled; what was sent is added");
      if (!error.failures && error.status !== 413) {
        row.show(turn.sent / Math.max(1, total), error.message, "failed");
        row.end(true, () => sendAll(left, turn));
        return row.list(bad);
      }
      bad.push(...(error.failures ?? group.map(({ name }) => ({ image: name, reason: error.message }))));
    }
    turn.sent += size;
    left.shift();
  }
  return finish("");

  function finish(words) {
    row.show(1, words, words ? "cancelled" : "sent");
    row.end();
    row.list(bad);
    if (bad.length) say(`${count(bad.length, "file")} left out`);
    else if (!words) row.row.remove();
  }
}
