// The sidecar's clock: shown as it runs, moved by a dialog.

import { get, post, remove } from "./api.js";
import { openForm, textIn } from "./dialogs.js";
import { button, byId, el, field } from "./dom.js";
import { moment, span } from "./format.js";

const AGAIN = 15_000;
let told = null; // What the sidecar said last, and when we heard it.
let isStill = false;

/** The sidecar's time in milliseconds; ours until it was told. */
export function now() {
  if (!told) return Date.now();
  return told.now + (isStill ? 0 : performance.now() - told.heard);
}

export function startClock() {
  byId("clock-button").addEventListener("click", openClock);
  setInterval(show, 1000);
  setInterval(() => ask().catch(() => {}), AGAIN);
  return ask().catch(() => {});
}

/** Ask for the time anew: somebody moved the clock. */
export const ask = async () => hear(await get("/local/clock"));

function hear(answer) {
  const heard = performance.now();
  const time = Date.parse(answer.now);
  // A clock that a test gave the sidecar may stand still: it is shown so.
  isStill = told !== null && told.moved === answer.moved_seconds && heard - told.heard > 900 && time === told.now;
  told = { now: time, heard, moved: answer.moved_seconds };
  show();
}

function show() {
  if (!told) return;
  const iso = new Date(now()).toISOString();
  byId("clock").textContent = `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
  const chip = byId("clock-moved");
  chip.hidden = told.moved === 0;
  chip.textContent = `${span(told.moved)} ${told.moved < 0 ? "behind" : "ahead"}`;
}

const STEPS = [["An hour", 3600], ["A day", 86400], ["A week", 604800], ["31 days", 2678400], ["A year", 31536000]];

function openClock() {
  const date = el("input", { type: "datetime-local", step: 1, min: "1970-01-01T00:00", max: "8999-12-31T00:00" });
  date.value = new Date(now()).toISOString().slice(0, 19);
  const form = openForm({
    title: "Move the clock",
    lead: "Usage resets and trials end by this clock. It runs on from where you put it.",
    body: [
      el(
        "div",
        { class: "field" },
        el("span", {}, "Move it on by"),
        el("div", { class: "quick" }, STEPS.map(([label, seconds]) => button(label, () => form.run(() => move({ advance: seconds }))))),
      ),
      field("Or put it to (UTC)", date),
    ],
    action: "Put it there",
    submit: () => move({ set: `${textIn(date, "The time")}Z` }),
    aside: { label: "Back to real time", run: async () => said(await remove("/local/clock")) },
  });
}

const move = async (to) => said(await post("/local/clock", to));

function said(answer) {
  hear(answer);
  return `The clock says ${moment(answer.now)} UTC.`;
}
