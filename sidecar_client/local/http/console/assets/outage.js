// Simulated outages: begun by a dialog, told by a banner that cannot be overlooked.

import { get, post, remove } from "./api.js";
import { numberIn, openForm } from "./dialogs.js";
import { button, byId, el, field, replace, select, toast } from "./dom.js";
import { count } from "./format.js";

let known = { faults: [], codes: [], methods: [] };
let isLost = false;

export function startOutage() {
  byId("outage-button").addEventListener("click", openOutage);
  setInterval(() => known.faults.length && ask().catch(() => {}), 2000);
  return ask().catch(() => {});
}

/** Ask which faults are on. */
export async function ask() {
  known = await get("/local/faults");
  show();
}

/** Whether the stream of the sidecar is lost, for the banner that says so. */
export function setLost(lost) {
  if (lost === isLost) return;
  isLost = lost;
  show();
}

function show() {
  const banners = known.faults.map(outageBanner);
  if (isLost) banners.unshift(lostBanner());
  document.title = known.faults.length ? "⚠ Outage – Local sidecar" : "Local sidecar";
  const met = new Map(known.faults.map((fault) => [String(fault.number), fault.met]));
  const shown = [...byId("banners").querySelectorAll("[data-fault]")].map((item) => item.dataset.fault);
  if (String(shown) === String([...met.keys()]) && isLost === Boolean(byId("banners").querySelector(".banner-lost"))) {
    // The same ones: only their count, so that nothing is announced again.
    for (const item of byId("banners").querySelectorAll("[data-met]")) item.textContent = calls(met.get(item.dataset.met));
    return;
  }
  replace(byId("banners"), banners);
}

const calls = (met) => (met ? `${count(met, "call")} met it.` : "No call has met it yet.");

const outageBanner = (fault) =>
  el(
    "div",
    { class: "banner banner-outage", data: { fault: fault.number } },
    el("span", { class: "banner-mark", "aria-hidden": "true" }, "⚠"),
    el(
      "p",
      {},
      el("strong", {}, "Outage simulated. "),
      `${fault.says[0].toUpperCase()}${fault.says.slice(1)}. `,
      el("span", { data: { met: fault.number }, "aria-live": "off" }, calls(fault.met)),
    ),
    button("End the outage", () => end(fault), { data: { key: `end-${fault.number}` } }),
  );

const lostBanner = () =>
  el(
    "div",
    { class: "banner banner-lost" },
    el("span", { class: "banner-mark", "aria-hidden": "true" }, "⌁"),
    el("p", {}, "The sidecar does not answer. What you see may be out of date; this page tries again by itself."),
  );

async function end(fault) {
  try {
    await remove(`/local/faults/${fault.number}`);
    toast("The outage has ended.");
  } catch (error) {
    toast(error.message);
  }
  await ask().catch(() => {});
  byId("outage-button").focus();
}

const KINDS = [
  ["unavailable", "Refuse calls at once", "gRPC status UNAVAILABLE"],
  ["closed", "Stop listening", "nobody is on the port"],
  ["code", "Answer an error", "any status of gRPC"],
  ["delay", "Answer late", "the right answer, after a while"],
];

function openOutage() {
  const kinds = el(
    "fieldset",
    { class: "choices" },
    el("legend", {}, "What calls over gRPC meet"),
    KINDS.map(([id, label, hint], at) =>
      el(
        "label",
        {},
        el("input", { type: "radio", name: "kind", value: id, checked: at === 0, onchange: adapt }),
        el("span", {}, `${label} `, el("span", { class: "count" }, hint)),
      ),
    ),
  );
  const code = select(known.codes.map((name) => [name, name]), "INTERNAL");
  const delay = el("input", { type: "number", min: 0, max: 3600, step: "any", value: 2 });
  const share = el("input", { type: "number", min: 1, max: 100, step: "any", value: 100 });
  const methods = known.methods.map((name) => el("input", { type: "checkbox", value: name }));
  const codeField = field("Status", code);
  const delayField = field("Seconds", delay);
  const extent = [
    field("Share of the calls, in percent", share, "25: every fourth call"),
    el(
      "fieldset",
      { class: "choices wide" },
      el("legend", {}, "Only these methods (none: all)"),
      methods.map((box) => el("label", {}, box, el("code", {}, box.value))),
    ),
  ];
  const chosen = () => kinds.querySelector(":checked").value;
  openForm({
    title: "Simulate an outage",
    lead: "See what your application does without its sidecar. This page is not affected.",
    body: [kinds, codeField, delayField, ...extent],
    action: "Begin the outage",
    danger: true,
    submit: async () => {
      await post("/local/faults", asked());
      await ask();
      return "The outage has begun.";
    },
  });
  adapt();

  function adapt() {
    codeField.hidden = chosen() !== "code";
    delayField.hidden = chosen() !== "delay";
    extent.forEach((item) => (item.hidden = chosen() === "closed"));
  }

  function asked() {
    const kind = chosen();
    if (kind === "closed") return { refuse: "closed" };
    const where = {
      methods: methods.filter((box) => box.checked).map((box) => box.value),
      share: numberIn(share, "The share") / 100,
    };
    if (kind === "code") return { ...where, code: code.value };
    if (kind === "delay") return { ...where, delay: numberIn(delay, "Seconds") };
    return { ...where, refuse: "unavailable" };
  }
}
