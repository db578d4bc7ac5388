// One entitlement as a row: what is granted, what is used, and why.

import { now } from "./clock.js";
import { button, el } from "./dom.js";
import { day, distance, moment, number, reason, words } from "./format.js";

const KINDS = { plan: "plan", base_plan: "plan", addon: "add-on", agreement: "agreed with this customer", promotion: "promotion" };

/** The row; `tools` are the functions that its buttons call with the entitlement. */
export function entitlementRow(item, tools) {
  const { feature } = item;
  return el(
    "li",
    { class: "entitlement", data: { feature: feature.id } },
    el(
      "div",
      { class: "entitlement-name" },
      feature.name && el("span", { class: "name" }, feature.name),
      el("span", { class: "id" }, feature.id),
      el("span", { class: "count" }, feature.event ? `${feature.type}, by events` : feature.type),
    ),
    el("div", { class: "entitlement-tools" }, status(item), ...buttons(item, tools)),
    use(item),
    why(item),
  );
}

function use(item) {
  const parts = [bar(item), amount(item)].filter(Boolean);
  return parts.length ? el("div", { class: "entitlement-use" }, parts) : null;
}

function status(item) {
  if (item.has_access) {
    const over = item.granted?.limit !== null && item.usage >= (item.granted?.limit ?? Infinity);
    return el("span", { class: over ? "chip chip-warn" : "chip chip-ok" }, over ? "✓ Granted, over the limit" : "✓ Granted");
  }
  return el("span", { class: "chip chip-bad" }, `✕ ${reason(item.reason)}`);
}

function buttons(item, tools) {
  const { feature } = item;
  const made = [];
  const says = (what) => `${what} ${feature.name || feature.id}`;
  if (feature.type === "metered" && !feature.event && item.granted) {
    made.push(button("Report…", () => tools.report(item), { class: "small", "aria-label": says("Report usage of"), data: { key: `report-${feature.id}` } }));
  }
  made.push(button("Edit…", () => tools.edit(item), { class: "small", "aria-label": says("Edit the limit of"), data: { key: `edit-${feature.id}` } }));
  return made;
}

function bar(item) {
  if (item.usage === null || !item.granted) return null;
  const { limit, unlimited } = item.granted;
  if (unlimited) return el("div", { class: "bar", data: { level: "free" }, "aria-hidden": "true" });
  const share = limit ? Math.min(1, item.usage / limit) : item.usage > 0 || limit === 0 ? 1 : 0;
  const level = share === 0 ? "empty" : share >= 1 ? "full" : share >= 0.8 ? "near" : "part";
  const fill = el("span");
  fill.style.setProperty("--share", String(share));
  return el(
    "div",
    {
      class: "bar",
      data: { level },
      role: "meter",
      "aria-label": `Usage of ${item.feature.name || item.feature.id}`,
      "aria-valuemin": 0,
      "aria-valuemax": limit ?? 0,
      "aria-valuenow": Math.min(item.usage, limit ?? 0),
      "aria-valuetext": `${number(item.usage)} of ${number(limit ?? 0)}`,
    },
    fill,
  );
}

function amount(item) {
  const { feature, granted, usage } = item;
  if (!granted) return usage ? el("p", { class: "amount" }, `${number(usage)} used`) : null;
  const units = feature.units_plural || feature.units;
  const notes = [];
  if (granted.soft_limit) notes.push("soft limit");
  if (item.period) notes.push(el("time", { datetime: item.period.end, title: `${moment(item.period.end)} UTC` }, `resets ${distance(item.period.end, now())}, ${day(item.period.end)}`));
  else if (feature.type === "metered") notes.push("never resets");
  const note = notes.length ? el("span", { class: "amount-note" }, notes.flatMap((text) => [" · ", text])) : null;
  if (feature.type === "metered") {
    const of = granted.unlimited ? "of unlimited" : `of ${number(granted.limit ?? 0)}`;
    return el("p", {}, el("span", { class: "amount" }, number(usage), el("span", { class: "of" }, ` ${of} ${units}`)), note);
  }
  if (feature.type === "numeric") {
    const value = granted.unlimited ? "Unlimited" : number(granted.value);
    return el("p", { class: "amount" }, value, el("span", { class: "of" }, ` ${units}`));
  }
  if (feature.type === "enum") return el("p", { class: "amount" }, granted.values.join(", "));
  return null;
}

function why(item) {
  const key = `why-${item.feature.id}`;
  const code = item.reason ? el("span", { class: "reason" }, item.reason) : null;
  const { winner, others } = item;
  if (!winner && !others.length) return el("div", { class: "entitlement-why" }, code ?? "Nothing is said about it.");
  const lost = [...(winner?.overruled ?? []).map(sourceText), ...others.flatMap((grant) => grant.sources.map(sourceText))];
  const first = winner ?? others[0];
  const summary = first.sources.map(sourceText);
  const short = el("p", {}, code, code && " ", winner ? "From " : "By ", join(summary), whose(first));
  if (!winner || !lost.length) return el("div", { class: "entitlement-why" }, short);
  return el(
    "div",
    { class: "entitlement-why" },
    short,
    el(
      "details",
      { data: { key } },
      el("summary", { data: { key: `${key}-summary` } }, `Why? ${lost.length} more ${lost.length === 1 ? "source" : "sources"}`),
      el(
        "ul",
        { class: "why-list" },
        el("li", {}, el("span", { class: "mark" }, "Counts: "), winner.says),
        winner.overruled.map((source) => el("li", {}, "Replaced: ", sourceText(source))),
        others.map((grant) => el("li", {}, "Less generous: ", join(grant.sources.map(sourceText)), whose(grant))),
      ),
    ),
  );
}

function sourceText(source) {
  const times = source.quantity > 1 ? ` × ${source.quantity}` : "";
  const named = source.kind === "promotion" || source.kind === "agreement" ? null : el("code", {}, source.id);
  const inherited = source.kind === "base_plan" && " (inherited)";
  return el("span", {}, KINDS[source.kind] ?? words(source.kind), named && " ", named, times, inherited, `: ${source.says}`);
}

const join = (parts) => parts.flatMap((part, at) => (at ? [" + ", part] : [part]));

const whose = (grant) => (grant.resource ? el("span", {}, " for the resource ", el("code", {}, grant.resource)) : null);
