// The console: its parts put together, and what follows from what happens.

import { get } from "./api.js";
import { banner, setBanner } from "./banners.js";
import { ask as askClock, startClock } from "./clock.js";
import { open, openId, refresh } from "./customer.js";
import { reload, startCustomers } from "./customers.js";
import { byId, el, soon } from "./dom.js";
import { startLive } from "./live.js";
import { ask as askFaults, startOutage } from "./outage.js";
import { startWebhooks } from "./webhooks.js";

const reloadSoon = soon(reload, 400);
const aboutSoon = soon(() => about().catch(() => {}), 100);

function happening({ kind, facts }) {
  if (kind === "fault") askFaults().catch(() => {});
  if (kind === "fault" || kind === "catalog") aboutSoon();
  if (kind === "clock") askClock().catch(() => {});
  const isOfAll = kind === "clock" || kind === "catalog" || (kind === "change" && !facts.customer_id);
  const isOfOpen = facts.customer_id === openId() || (kind === "events" && !facts.customer_id);
  if (isOfAll || (isOfOpen && ["report", "events", "change"].includes(kind))) refresh();
  if (["change", "clock", "catalog"].includes(kind)) reloadSoon();
}

async function about() {
  const told = await get("/local/about");
  byId("target").textContent = told.target;
  byId("catalog").textContent = told.catalog === "demo" ? "demo" : told.catalog.split("/").at(-1);
  byId("catalog").title = told.catalog;
  byId("ready").className = `chip chip-${told.ready ? "ok" : "bad"}`;
  byId("ready").textContent = told.ready ? "● Serving" : "✕ Not answering";
  if (told.catalog_problem !== problem) setBanner("catalog", null);
  problem = told.catalog_problem;
  setBanner("catalog", problem && (() => catalogBanner(problem)));
}

let problem = null;
const catalogBanner = (text) =>
  banner("warn", "✎", [
    el("p", {}, el("strong", {}, "The catalog was edited and cannot be served. "), "The one before it still is."),
    el("pre", { class: "body", tabindex: 0 }, text),
  ]);
const lostBanner = () =>
  banner("warn", "⌁", el("p", {}, "The sidecar does not answer. What you see may be out of date; this page tries again by itself."));

function everything() {
  aboutSoon();
  askClock().catch(() => {});
  askFaults().catch(() => {});
  reloadSoon();
  refresh();
}

// What was left out of the stream may have been anything.
const everythingSoon = soon(everything, 2000);

let wasLost = false;
function lost(isLost) {
  setBanner("lost", isLost && lostBanner);
  if (isLost) {
    byId("ready").className = "chip chip-bad";
    byId("ready").textContent = "✕ Not reached";
  } else if (wasLost) everything();
  wasLost = isLost;
}

/** On a phone one part is seen at a time. */
function view(name) {
  document.body.dataset.view = name;
  for (const tab of document.querySelectorAll(".tabs button")) tab.setAttribute("aria-pressed", String(tab.dataset.show === name));
}

function follow() {
  const match = /^#\/customer\/(.+)$/.exec(location.hash);
  let id = null;
  try {
    id = match ? decodeURIComponent(match[1]) : null;
  } catch {
    // An address that somebody broke leads to no customer.
  }
  if (match) view("customer");
  open(id);
}

for (const tab of document.querySelectorAll(".tabs button")) tab.addEventListener("click", () => view(tab.dataset.show));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view("customer");
  byId("customer").focus();
});
addEventListener("hashchange", follow);

about().catch(() => {});
startClock().then(follow);
startOutage();
startWebhooks();
startCustomers();
startLive({ happening, lost, missed: everythingSoon, restarted: everything });
