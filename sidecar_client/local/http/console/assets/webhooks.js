// Webhooks that the sidecar sent: what became of each message, and sending one again.

import { get, post } from "./api.js";
import { openForm } from "./dialogs.js";
import { button, byId, el, replace, toast } from "./dom.js";
import { clockTime, count, number } from "./format.js";

const AGAIN = 2000;
const MARKS = { delivered: ["chip-ok", "✓ Delivered"], pending: ["chip-warn", "… On its way"], failed: ["chip-bad", "✕ Failed"], dropped: ["chip-bad", "✕ Dropped"] };
let known = { webhooks: [], deliveries: [] };
let place = null;
let shown = "";

/** Shows the button where there are webhooks, and keeps it up to date. */
export async function startWebhooks() {
  byId("webhooks-button").addEventListener("click", open);
  await ask().catch(() => {});
  if (known.webhooks.length) setInterval(() => ask().catch(() => {}), AGAIN);
}

async function ask() {
  known = await get("/local/webhooks");
  const lost = known.deliveries.filter((item) => item.state === "failed" || item.state === "dropped").length;
  byId("webhooks-button").hidden = known.webhooks.length === 0;
  byId("webhooks-failed").hidden = lost === 0;
  byId("webhooks-failed").textContent = `${number(lost)} failed`;
  show();
}

function open() {
  place = el("div", { class: "dialog-body" });
  shown = "";
  openForm({
    title: "Webhooks",
    lead: `${count(known.webhooks.length, "URL")}: ${known.webhooks.map((hook) => hook.url).join(", ")}`,
    body: [place],
    wide: true,
  });
  show();
}

function show() {
  if (!place?.isConnected) return;
  // Only what has changed is made anew: somebody may be reading.
  const all = JSON.stringify(known.deliveries);
  if (all === shown) return;
  shown = all;
  const list = known.deliveries.map(row);
  replace(place, list.length ? el("ul", {}, list) : el("p", { class: "row-note" }, "Nothing was sent yet. Change something, and it shows here."));
}

function row(item) {
  const [style, state] = MARKS[item.state];
  const last = item.attempts.at(-1);
  const outcome = last ? (last.error ?? `status ${last.status}`) : "not tried yet";
  const key = `${item.messageId} ${item.url}`;
  return el(
    "li",
    { class: "row" },
    el("div", { class: "row-main" }, el("code", {}, item.type), el("span", { class: "count" }, clockTime(item.at))),
    el("span", { class: `chip ${style}` }, state),
    el("p", { class: "row-note" }, `${count(item.attempts.length, "attempt")}, ${outcome}`, known.webhooks.length > 1 && ` · ${item.url}`),
    el(
      "details",
      { class: "row-note", data: { key } },
      el("summary", { data: { key: `${key} summary` } }, "Message"),
      el("pre", { class: "body", tabindex: 0 }, pretty(item.body)),
      button("Send it again", () => resend(item), { class: "small", data: { key: `${key} again` } }),
    ),
  );
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

async function resend(item) {
  try {
    await post(`/local/webhooks/${encodeURIComponent(item.messageId)}/resend`);
    toast(`${item.type} is sent again.`);
  } catch (error) {
    toast(error.message);
  }
  await ask().catch(() => {});
}
