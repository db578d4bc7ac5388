// The console: its parts put together, and what follows from what happens.

import { get } from "./api.js";
import { ask as askClock, startClock } from "./clock.js";
import { open, openId, refresh } from "./customer.js";
import { reload, startCustomers } from "./customers.js";
import { byId, soon } from "./dom.js";
import { startLive } from "./live.js";
import { ask as askFaults, setLost, startOutage } from "./outage.js";
import { startWebhooks } from "./webhooks.js";

const reloadSoon = soon(reload, 400);
const aboutSoon = soon(() => about().catch(() => {}), 100);

function happening({ kind, facts }) {
  if (kind === "fault") askFaults().catch(() => {});
  if (kind === "fault") aboutSoon();
  if (kind === "clock") askClock().catch(() => {});
  const isOfAll = kind === "clock" || (kind === "change" && !facts.customer_id);
  const isOfOpen = facts.customer_id === openId() || (kind === "events" && !facts.customer_id);
  if (isOfAll || (isOfOpen && ["report", "events", "change"].includes(kind))) refresh();
  if (kind === "change" || kind === "clock") reloadSoon();
}

async function about() {
  const told = await get("/local/about");
  byId("target").textContent = told.target;
  byId("catalog").textContent = told.catalog === "demo" ? "demo" : told.catalog.split("/").at(-1);
  byId("catalog").title = told.catalog;
  byId("ready").className = `chip chip-${told.ready ? "ok" : "bad"}`;
  byId("ready").textContent = told.ready ? "● Serving" : "✕ Not answering";
}

function everything() {
  aboutSoon();
  askClock().catch(() => {});
  askFaults().catch(() => {});
  reloadSoon();
  refresh();
}

let wasLost = false;
function lost(isLost) {
  setLost(isLost);
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
startLive({ happening, lost, restarted: everything });
