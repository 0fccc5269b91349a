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
  const bad = [...failures];
  if (nPassed) bad.push({ image: count(nPassed, "other file"), reason: "in a folder: no pictures by their names" });
  await sendAll(files, { bad, over, row, stop, jobs: [] });
}

// Why a file cannot be sent; null where it can. Of a folder, browsers make a file that is empty or cannot be read.
async function wrong(file, most) {
  if (file.size > most) return `is ${number(file.size / 2 ** 20)} MB; this server takes up to ${number(most / SHARE / 2 ** 20)} MB`;
  if (!file.size) return "is empty, or a folder, or not there any more";
  try {
    await file.slice(0, 1).arrayBuffer();
    return null;
  } catch {
    return "cannot be read: it has changed, or is not there any more, or not for you";
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

// Send the files. Where that fails, those that are left can be sent again; a file may have gone bad by then.
async function sendAll(files, turn) {
  const { bad, over, row, stop, jobs } = turn;
  let left = files;
  row.end(false);
  row.show(0, "reading", "running");
  try {
    const { limits } = await api.collection();
    const good = [];
    for (const file of files) {
      const reason = await wrong(file, SHARE * limits.upload_bytes);
      if (reason) bad.push({ image: file.name, reason });
      else good.push(file);
    }
    left = good;
    const total = sizeOf(good);
    for (const group of groups(good, SHARE * limits.upload_bytes)) {
      const heard = (share) => {
        const done = (total - sizeOf(left) + share * sizeOf(group)) / total;
        row.show(done, share === 1 ? "looking at what was sent" : `${Math.round(100 * done)} % sent`, "running");
      };
      heard(0);
      await jobs.at(-AHEAD);
      stop.signal.throwIfAborted();
      await sendGroup(group, turn, heard);
      left = left.slice(group.length);
    }
    finish("", turn);
  } catch (error) {
    if (error.name === "AbortError") return finish("cancelled; what was sent is added", turn);
    row.show(0, error.message, "failed");
    row.end(true, () => sendAll(left, turn));
    row.list(bad);
  }
}

const sizeOf = (files) => files.reduce((sum, { size }) => sum + size, 0);

async function sendGroup(group, { bad, over, stop, jobs }, heard) {
  try {
    jobs.push(follow(await api.addImages(group, { signal: stop.signal, heard }), $("jobs"), over));
  } catch (error) {
    if (!error.failures) throw error;
    bad.push(...error.failures);
  }
}

function finish(words, { bad, row }) {
  row.show(1, words, words ? "cancelled" : "sent");
  row.end();
  row.list(bad);
  if (bad.length) say(`${count(bad.length, "file")} left out`);
  else if (!words) row.row.remove();
}
