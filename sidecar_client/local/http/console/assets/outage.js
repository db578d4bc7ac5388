// Simulated outages: begun by a dialog, told by a banner that cannot be overlooked.

import { get, post, remove } from "./api.js";
import { banner, named, setBanner } from "./banners.js";
import { numberIn, openForm } from "./dialogs.js";
import { button, byId, el, field, select, toast } from "./dom.js";
import { count } from "./format.js";

let known = { faults: [], codes: [], methods: [] };

export function startOutage() {
  byId("outage-button").addEventListener("click", openOutage);
  setInterval(() => known.faults.length && ask().catch(() => {}), 2000);
  return ask().catch(() => {});
}

let asked = 0;

/** Ask which faults are on. */
export async function ask() {
  const turn = ++asked;
  const found = await get("/local/faults");
  // An answer that was overtaken must not hide what a later one showed.
  if (turn !== asked) return;
  known = found;
  show();
}

function show() {
  const on = new Map(known.faults.map((fault) => [`fault-${fault.number}`, fault]));
  for (const name of named("fault-")) if (!on.has(name)) setBanner(name, null);
  for (const [name, fault] of on) {
    setBanner(name, () => outageBanner(fault));
    byId(`met-${fault.number}`).textContent = calls(fault.met);
  }
  document.title = on.size ? "⚠ Outage – Local sidecar" : "Local sidecar";
}

const calls = (met) => (met ? `${count(met, "call")} met it.` : "No call has met it yet.");

const outageBanner = (fault) =>
  banner(
    "outage",
    "⚠",
    [
      el("strong", {}, "Outage simulated. "),
      `${fault.says[0].toUpperCase()}${fault.says.slice(1)}. `,
      el("span", { id: `met-${fault.number}`, "aria-live": "off" }),
    ],
    button("End the outage", () => end(fault), { data: { key: `end-${fault.number}` } }),
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
