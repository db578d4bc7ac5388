// The live stream: everything that happens, newest first, within bounds.

import { hrefOf } from "./customers.js";
import { byId, button, el, soon } from "./dom.js";
import { clockTime, count, number, reason } from "./format.js";

const MOST = 400;
const REPLAYED = 150;
let held = []; // Newest first; what is shown of it depends on the filters.
let waiting = [];
let isPaused = false;
let epoch = null;

/** Follow the stream; `on.happening` hears what happens; `on.missed`: not all; `on.lost`: whether it is lost. */
export function startLive(on) {
  for (const box of document.querySelectorAll(".filters input")) box.addEventListener("change", showOthers);
  byId("live-filter").addEventListener("input", showOthers);
  byId("live-pause").addEventListener("click", () => setPaused(!isPaused));
  byId("live-clear").addEventListener("click", () => {
    held = [];
    waiting = [];
    showOthers();
    setPaused(isPaused);
  });
  const source = new EventSource(`/local/feed?calm=1&replay=${REPLAYED}`);
  source.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    if (epoch && (hello.epoch !== epoch || !hello.resumed)) on.restarted();
    if (epoch !== hello.epoch) held = [];
    epoch = hello.epoch;
    setState("ok", "● Connected");
    on.lost(false);
    showOthers();
  });
  source.addEventListener("missed", (event) => {
    const { missed } = JSON.parse(event.data);
    take({ kind: "gap", text: `${count(missed, "happening")} left out: too fast to show` });
    on.missed();
  });
  source.addEventListener("happening", (event) => {
    const told = JSON.parse(event.data);
    take(told);
    on.happening(told);
  });
  source.addEventListener("error", () => {
    setState("warn", "○ Reconnecting");
    on.lost(true);
    if (source.readyState === EventSource.CLOSED) {
      setState("bad", "✕ Not connected");
      setTimeout(startAgain, 3000);
    }
  });
}

// A browser gives up for good after an answer such as 503, when all places are taken.
function startAgain() {
  fetch("/livez").then(() => location.reload(), () => setTimeout(startAgain, 3000));
}

function setState(level, text) {
  byId("live-state").className = `chip chip-${level}`;
  byId("live-state").textContent = text;
}

function setPaused(paused) {
  isPaused = paused;
  if (!paused) {
    held = [...waiting, ...held].slice(0, MOST);
    waiting = [];
    showOthers();
  }
  const button = byId("live-pause");
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? (waiting.length ? `Resume (${waiting.length} new)` : "Resume") : "Pause";
}

function take(told) {
  (isPaused ? waiting : held).unshift(told);
  if (waiting.length > MOST) waiting.length = MOST;
  if (held.length > MOST) held.length = MOST;
  if (isPaused) setPaused(true);
  else showSoon();
}

let lastShown = 0;
const lines = new WeakMap(); // Made once for each happening.

/** Shows what fits, and makes lines for what is new alone. */
function show() {
  const kinds = new Set([...document.querySelectorAll(".filters input:checked")].map((box) => box.value));
  const text = byId("live-filter").value.trim().toLowerCase();
  const fitting = held.filter((told) => fits(told, kinds, text)).map(lineOf);
  const list = byId("live-list");
  const known = list.firstChild ? fitting.indexOf(list.firstChild) : -1;
  if (known < 0 || isOther) list.replaceChildren(...fitting);
  else {
    list.prepend(...fitting.slice(0, known));
    while (list.children.length > fitting.length) list.lastChild.remove();
  }
  isOther = false;
  lastShown = Math.max(lastShown, held.find((told) => told.number)?.number ?? 0);
  byId("tab-count").textContent = held.length ? String(held.length) : "";
  showEmpty(fitting.length > 0);
}

// Several times a second at most, however much happens.
const showSoon = soon(show, 120);
let isOther = false;

/** Shows what other filters, or other happenings, come to. */
function showOthers() {
  isOther = true;
  show();
}

function showEmpty(hasLines) {
  const empty = byId("live-empty");
  if (hasLines) empty.replaceChildren();
  else if (held.length) empty.replaceChildren(el("p", {}, `None of the latest ${count(held.length, "happening")} fits.`), button("Show everything", showAll));
  else empty.replaceChildren(el("strong", {}, "Nothing has happened yet"), el("p", {}, "Checks, reports and events show here as your application sends them."));
}

function showAll() {
  for (const box of document.querySelectorAll(".filters input")) box.checked = true;
  byId("live-filter").value = "";
  showOthers();
}

function fits(told, kinds, text) {
  if (told.kind === "gap") return true;
  if (!kinds.has(kindOf(told))) return false;
  return !text || JSON.stringify([told.kind, told.facts]).toLowerCase().includes(text);
}

function kindOf({ kind, facts }) {
  if (kind === "check" || kind === "list") return facts.reason ? "denial" : "check";
  if (kind === "report") return "report";
  if (kind === "events") return "events";
  if (kind === "refusal" || kind.endsWith("_error") || facts.state === "refused") return "error";
  return "change";
}

function lineOf(told) {
  if (!lines.has(told)) lines.set(told, line(told));
  return lines.get(told);
}

function line(told) {
  if (told.kind === "gap") return el("li", { class: "gap" }, el("span", { class: "gap" }, told.text));
  const kind = kindOf(told);
  const [mark, ...parts] = textOf(told);
  return el(
    "li",
    { data: { kind }, class: told.number > lastShown ? "fresh" : null },
    el("time", { datetime: told.at, title: told.at }, clockTime(told.at)),
    el("span", { class: "live-mark", "aria-hidden": "true" }, mark),
    el("span", { class: "live-text" }, parts),
  );
}

const code = (text) => el("code", {}, text);
const note = (text) => el("span", { class: "note" }, text);

function who(facts) {
  if (!facts.customer_id) return note("somebody");
  const link = el("a", { href: hrefOf(facts.customer_id) }, code(facts.customer_id));
  return facts.resource_id ? el("span", {}, link, note(" / "), code(facts.resource_id)) : link;
}

/** The mark of a happening, then its sentence. */
function textOf({ kind, facts }) {
  switch (kind) {
    case "check": {
      const what = code(facts.feature_id ?? facts.currency_id ?? "?");
      const wish = facts.requested_usage === undefined ? "" : ` × ${number(facts.requested_usage)}`;
      const values = facts.requested_values ? ` (${facts.requested_values.join(", ")})` : "";
      return facts.has_access
        ? ["✓", who(facts), " may ", what, wish, values]
        : ["✕", who(facts), " denied ", what, wish, values, ": ", el("strong", {}, reason(facts.reason)), " ", el("span", { class: "reason" }, facts.reason ?? "")];
    }
    case "list":
      return [facts.reason ? "✕" : "✓", who(facts), " asked for everything: ", facts.reason ? reason(facts.reason) : count(facts.count, "entitlement")];
    case "report":
      return [
        "↑", who(facts), facts.update === "set" ? " set " : " used ", el("strong", {}, number(facts.value)), facts.update === "set" ? " as usage of " : " of ",
        code(facts.feature_id), facts.current_usage === null || facts.current_usage === undefined ? "" : note(` → ${number(facts.current_usage)}`),
      ];
    case "events":
      return ["≡", count(facts.count, "event"), " ", code(facts.names.join(", ")), facts.customer_id ? " by " : "", facts.customer_id ? who(facts) : ""];
    case "refusal":
      return ["!", code(facts.method), " refused: ", el("strong", {}, facts.code), " ", note(facts.message ?? ""), facts.customer_id ? " " : "", facts.customer_id ? who(facts) : ""];
    case "fault":
      return ["⚠", facts.state === "begun" ? "Outage begins: " : "Outage ends: ", facts.says, facts.met ? note(` (${count(facts.met, "call")} met it)`) : ""];
    case "catalog":
      return facts.state === "refused"
        ? ["!", el("strong", {}, "The edited catalog is not served: "), note(facts.problem)]
        : ["✎", `The catalog was read again: ${facts.count ? `${count(facts.count, "change")}. ` : "nothing has changed."}`, note(facts.changes.join("; "))];
    case "clock":
      return ["◷", facts.moved_seconds ? "The clock was moved" : "The clock tells real time again"];
    case "change":
      return ["✎", code(facts.what), facts.customer_id ? " " : "", facts.customer_id ? who(facts) : "", rest(facts, ["what", "customer_id", "resource_id"])];
    default:
      return ["·", code(kind), " ", facts.customer_id ? who(facts) : "", rest(facts, ["customer_id", "resource_id"])];
  }
}

function rest(facts, known) {
  const others = Object.entries(facts).filter(([name, value]) => !known.includes(name) && value !== null);
  return others.length ? note(` ${others.map(([name, value]) => `${name} ${value}`).join(", ")}`) : "";
}
