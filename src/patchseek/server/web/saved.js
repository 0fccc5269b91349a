// The page of saved queries: all of them with what there is to judge, or one with its finds; asking them again.

import * as address from "./address.js";
import * as api from "./api.js";
import { $, count, el, number, problem, say } from "./dom.js";
import { showFinds } from "./finds.js";
import { follow, isUnderWay, start } from "./jobs.js";
import { startNews } from "./news.js";
import { sent } from "./verdicts.js";
import { startWalk, startWalking } from "./walk.js";

let queries = []; // as the server lists them
let removing = null; // the key of the query that somebody was asked whether to remove

// Sure finds alone are to be judged, unless somebody wants the doubtful ones, too.
const which = () => ($("doubtful-too").checked ? "unjudged" : "open");
const judgedOf = ({ judged }) => Object.values(judged).reduce((sum, n) => sum + n, 0);
const unjudged = (query) => Math.max(0, query.finds - judgedOf(query));
const toJudge = (query) => ($("doubtful-too").checked ? unjudged(query) : query.open);

let showing = Promise.resolve();

// Show what the address says: all saved queries, or one, and maybe a find of it in the full view.
export function showSaved() {
  return (showing = showing.catch(() => {}).then(show));
}

const isLooking = () => $("viewer").open && address.saved().find; // when the full view is closed all is shown anew

async function show() {
  if (isLooking()) return;
  await sent(); // what was judged a moment ago counts
  queries = await api.savedQueries();
  const { name, find, walk } = address.saved();
  const query = queries.find((one) => one.name === name);
  $("saved-list").hidden = Boolean(query);
  $("saved-one").hidden = !query;
  for (const job of await api.jobs()) if (job.kind === "saved" && isUnderWay(job)) follow(job, $("saved-jobs"), showSaved);
  if (isLooking()) return;
  if (query) await showOne(query);
  else showAll();
  if (name && !query) problem(new Error(`There is no saved query “${name}” any more.`));
  if (find && !$("viewer").open && address.saved().find === find) await openAgain(query, find, walk);
}

async function openAgain(query, find, walk) {
  const [way, kind] = (walk ?? "").split(".");
  if (kind && way !== "one") $("doubtful-too").checked = kind === "unjudged";
  const isOpened = kind ? await judge(setOf(way, query), way, find, kind) : showFinds.open(find);
  if (!isOpened) address.closeFind();
}

// Which queries are judged: one, those with news, or all, beginning with one.
function setOf(way, query) {
  if (way === "one") return query ? [query] : [];
  const some = queries.filter(way === "new" ? (one) => one.new : toJudge);
  const at = Math.max(0, some.indexOf(query));
  return [...some.slice(at), ...some.slice(0, at)];
}

async function judge(some, way, find = null, kind = which()) {
  const isOpened = await startWalk(some, { way, which: way === "new" ? "open" : kind, find });
  if (!isOpened) say("Nothing is to be judged");
  return isOpened;
}

// ---- all of them

function showAll() {
  const n = queries.reduce((sum, query) => sum + toJudge(query), 0);
  $("saved-words").textContent = queries.length
    ? `${count(queries.length, "query", "queries")} · ${n ? `${number(n)} to judge` : "all judged"}`
    : "";
  $("saved-empty").hidden = queries.length > 0;
  $("saved-actions").hidden = !queries.length;
  $("judge-all").disabled = !n;
  const focused = document.activeElement?.closest?.("#saved-queries li")?.dataset.key;
  $("saved-queries").replaceChildren(...queries.map(row));
  if (focused) $("saved-queries").querySelector(`[data-key="${focused}"] button`)?.focus();
}

function countsOf(query) {
  if (!query.asked) return "not asked yet";
  const n = toJudge(query);
  const parts = [query.finds ? `${number(query.sure)} sure` : "nothing found", n ? `${number(n)} to judge` : null, judgedOf(query) ? `${number(judgedOf(query))} judged` : null];
  return parts.filter(Boolean).join(", ");
}

function row(query) {
  const view = query.views.find(({ is_wanted }) => is_wanted);
  const open = () => address.openSaved(query.name);
  return el("li", { class: "object saved-query", data: { key: query.query_key } },
    el("button", { type: "button", class: "tile saved-tile", "aria-label": `Open ${query.name}`, on: { click: open } },
      view ? el("img", { src: api.kept(view.kept, view.kept_box), alt: "", loading: "lazy" }) : el("span", { class: "saved-text", text: query.text, "aria-hidden": "true" })),
    el("div", { class: "object-words" },
      el("span", { class: "saved-title" }, el("strong", { text: query.name }), query.new ? el("span", { class: "tag", text: `${number(query.new)} new` }) : null),
      el("span", { class: "muted small", text: countsOf(query) }),
      query.note ? el("span", { class: "muted small", text: query.note }) : null),
    el("button", { type: "button", text: "Judge", "aria-label": `Judge the finds of ${query.name}`, disabled: !toJudge(query), on: { click: () => judge([query], "one").catch(problem) } }),
    remover(query));
}

// Asked twice; the list may be drawn anew in between.
function remover(query) {
  const key = query.query_key;
  const words = () => (removing === key ? "Remove?" : "×");
  const button = el("button", { type: "button", class: "quiet icon small-icon", "aria-label": `Remove ${query.name}`, text: words() });
  button.addEventListener("click", async () => {
    if (removing === key) {
      removing = null;
      button.disabled = true;
      const remove = () => api.removeSaved(key).then(showSaved).catch((error) => problem(error, remove));
      await remove();
      return say(`Removed ${query.name}. What was judged is kept`);
    }
    removing = key;
    button.textContent = words();
    setTimeout(() => {
      if (removing === key) removing = null;
      for (const one of $("saved-queries").querySelectorAll(`[data-key="${key}"] .small-icon`)) one.textContent = words();
    }, 4000);
  });
  return button;
}

// ---- one of them

async function showOne(query) {
  $("saved-name").textContent = query.name;
  $("saved-note").textContent = [query.note, `saved ${query.saved.slice(0, 10)} by ${query.who}`].filter(Boolean).join(" · ");
  $("saved-counts").textContent = countsOf(query);
  $("judge-one").textContent = toJudge(query) || !unjudged(query) ? "Judge" : "Judge the doubtful";
  $("judge-one").disabled = !unjudged(query);
  $("saved-views").replaceChildren(...query.views.map((view) =>
    el("span", { class: `chip${view.is_wanted ? "" : " not"}` },
      el("img", { src: api.kept(view.kept, view.kept_box), alt: `${view.is_wanted ? "Looked for" : "Not like"}: ${view.image || "a picture"}` }))));
  await showFinds(query);
}

const current = () => queries.find(({ name }) => name === address.saved().name);
const run = (body) => start(() => api.runSaved(body), $("saved-jobs"), showSaved);

export function startSaved() {
  const click = (id, act) => $(id).addEventListener("click", act);
  const trying = (act) => () => act().catch((error) => problem(error, trying(act)));
  click("run-new", () => run({ only_new: true }));
  click("run-all", () => run({}));
  click("run-one", () => run({ names: [current().name] }));
  click("judge-all", trying(() => judge(setOf("all"), "all")));
  click("judge-one", trying(() => judge([current()], "one", null, toJudge(current()) ? which() : "unjudged")));
  click("all-saved", (event) => {
    event.preventDefault();
    address.openSaved(null);
  });
  $("doubtful-too").addEventListener("change", () => ($("saved-one").hidden ? showAll() : showSaved().catch(problem)));
  const showAgain = () => $("queries").hidden || showSaved().catch((error) => problem(error, showAgain));
  addEventListener("popstate", showAgain);
  startWalking(showAgain);
  startNews(async () => {
    address.openSaved(null);
    queries = await api.savedQueries();
    await judge(setOf("new"), "new");
  });
}
