// The customer that is looked at: what it has, what it uses, what can be changed.

import { get, ofCustomer } from "./api.js";
import { now } from "./clock.js";
import { setCurrent } from "./customers.js";
import { button, byId, el, replace, select, settled, soon } from "./dom.js";
import { archive, editLimit, grantCredits, grantPromotion, reportUsage, revokePromotion } from "./edits.js";
import { entitlementRow } from "./entitlements.js";
import { count, distance, moment, number, reason, words } from "./format.js";
import { endSubscription, subscribe } from "./subscribing.js";

const PAGE = 50;
const SCOPES = [["said", "In its subscriptions"], ["denied", "Denied"], ["all", "All features"]];
let customer = null;
let wish = fresh();
let asking = null;
let shown = "";
let parts = null;

function fresh() {
  return { id: null, resource: "", search: "", scope: "said", limit: PAGE };
}

/** Look at a customer; null for none. */
export function open(id) {
  wish = { ...fresh(), id };
  customer = null;
  parts = null;
  shown = "";
  setCurrent(id);
  const pane = byId("customer-pane");
  if (id === null) {
    pane.replaceChildren(
      el("div", { class: "empty" }, el("strong", {}, "No customer is chosen"), el("p", {}, "Choose one of the list to see what it may have, what it uses, and why.")),
    );
    return Promise.resolve();
  }
  pane.replaceChildren(el("div", { class: "empty" }, "Loading…"));
  return load();
}

/** The customer that is looked at, or null. */
export const openId = () => wish.id;

/** Look again: something has happened to this customer, or to all. */
export const refresh = soon(() => wish.id && load(), 150);

async function load() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const { id, resource, search, scope, limit } = wish;
  try {
    const [found, entitled] = await Promise.all([
      get(ofCustomer(id), {}, signal),
      get(ofCustomer(id, "entitlements"), { resource, search, scope, limit: Math.min(limit, 200) }, signal),
    ]);
    // What is beyond the largest page is asked for page by page.
    while (entitled.items.length < Math.min(limit, entitled.total)) {
      const offset = entitled.items.length;
      const further = await get(ofCustomer(id, "entitlements"), { resource, search, scope, offset, limit: 200 }, signal);
      if (!further.items.length) break;
      entitled.items.push(...further.items);
    }
    const all = JSON.stringify([found, entitled, wish]);
    if (all !== shown) show(found, entitled);
    shown = all;
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error);
  }
}

function showProblem(error) {
  shown = "";
  parts = null;
  byId("customer-pane").replaceChildren(
    el("div", { class: "problem-box" }, el("p", { class: "problem", role: "alert" }, error.message), button("Try again", load)),
  );
}

function show(found, entitled) {
  customer = found;
  if (!parts) build();
  replace(parts.head, head());
  parts.entitlements(entitled);
  replace(parts.credits, credits(entitled));
  parts.credits.hidden = !entitled.credits.length;
  replace(parts.subscriptions, subscriptions());
  replace(parts.promotions, promotions());
  parts.promotions.hidden = !customer.promotions.length;
}

function build() {
  parts = {
    head: el("header", { class: "customer-head" }),
    entitlements: null,
    credits: el("section", { class: "block", "aria-label": "Credits" }),
    subscriptions: el("section", { class: "block", "aria-label": "Subscriptions" }),
    promotions: el("section", { class: "block", "aria-label": "Promotions" }),
  };
  const block = entitlementsBlock();
  byId("customer-pane").replaceChildren(parts.head, block, parts.credits, parts.promotions, parts.subscriptions);
}

function head() {
  const { id, name, email, archived, resources } = customer;
  const keyed = (key) => ({ data: { key } });
  return [
    el(
      "div",
      { class: "customer-title" },
      el("h2", {}, id),
      archived && el("span", { class: "chip chip-bad" }, "✕ Archived: everything is denied"),
      customer.plans.map((plan) => el("span", { class: "chip chip-plan" }, plan)),
      resources.length > 0 &&
        el(
          "label",
          { class: "seen-as" },
          el("span", {}, "Seen as"),
          select([["", "the whole customer"], ...resources.map((name) => [name, name])], wish.resource, {
            data: { key: "resource" },
            onchange: (event) => change({ resource: event.target.value, limit: PAGE }),
          }),
        ),
    ),
    (name || email) && el("p", { class: "customer-sub" }, [name, email].filter(Boolean).join(" · ")),
    el(
      "div",
      { class: "customer-actions" },
      !archived && button("Subscribe…", () => subscribe(customer, wish.resource), keyed("subscribe")),
      !archived && button("Report usage…", () => reportUsage(customer, wish.resource), keyed("report")),
      !archived && button("Grant promotion…", () => grantPromotion(customer), keyed("promote")),
      !archived && button("Grant credits…", () => grantCredits(customer, wish.resource), keyed("credits")),
      button(archived ? "Unarchive…" : "Archive…", () => archive(customer), { ...keyed("archive"), class: archived ? "" : "danger" }),
    ),
  ];
}

function change(some) {
  wish = { ...wish, ...some };
  load();
}

function entitlementsBlock() {
  const counted = el("span", { class: "count", role: "status" });
  const list = el("ul", {});
  const end = el("div", { class: "list-end" });
  const search = el("input", {
    type: "search", placeholder: "Search features", "aria-label": "Search features", autocomplete: "off", spellcheck: "false", maxlength: 255,
  });
  search.addEventListener("input", settled(() => change({ search: search.value.trim(), limit: PAGE }), 150));
  const scope = select(SCOPES, wish.scope, { "aria-label": "Which features", onchange: (event) => change({ scope: event.target.value, limit: PAGE }) });
  parts.entitlements = (entitled) => {
    counted.textContent = entitled.total ? `${number(entitled.granted)} of ${number(entitled.total)} granted` : "";
    const tools = {
      report: (item) => reportUsage(customer, wish.resource, item),
      edit: (item) => editLimit(customer, item, wish.resource),
    };
    replace(list, entitled.items.map((item) => entitlementRow(item, tools)));
    const left = entitled.total - entitled.items.length;
    replace(end, ...nothing(entitled), left > 0 && more(left));
    end.hidden = !end.firstChild;
  };
  return el(
    "section",
    { class: "block", "aria-labelledby": "entitlements-title" },
    el("div", { class: "block-head" }, el("h2", { id: "entitlements-title" }, "Entitlements"), counted, el("div", { class: "tools" }, search, scope)),
    list,
    end,
  );
}

const more = (left) =>
  button(`Show ${Math.min(PAGE, left)} more of ${number(left)}`, () => change({ limit: wish.limit + PAGE }), { data: { key: "more" } });

function nothing(entitled) {
  if (entitled.total) return [];
  if (entitled.reason) return [el("p", { class: "problem" }, `${reason(entitled.reason)}: every check is denied. `, el("span", { class: "reason" }, entitled.reason))];
  if (wish.search) return [el("p", {}, `No feature has “${wish.search}” in its id or name.`)];
  if (wish.scope === "denied") return [el("p", {}, "Nothing is denied.")];
  if (wish.scope === "all") return [el("p", {}, "The catalog has no features.")];
  return [el("p", {}, "No subscription of it runs, and no promotion: every check is denied with NO_ACTIVE_SUBSCRIPTION.")];
}

function credits(entitled) {
  return [
    el("h2", {}, "Credits"),
    el(
      "ul",
      {},
      entitled.credits.map((item) =>
        el(
          "li",
          { class: "row" },
          el("div", { class: "row-main" }, item.name && el("strong", {}, item.name), el("code", {}, item.currency)),
          el("span", { class: item.has_access ? "chip chip-ok" : "chip chip-bad" }, item.has_access ? "✓ Available" : "✕ Spent"),
          el(
            "p",
            { class: "row-note" },
            `${number(item.remaining)} left of ${number(item.granted)}`,
            item.soft_limit && " · soft limit",
            item.period_end && ` · comes again ${distance(item.period_end, now())}`,
          ),
        ),
      ),
    ),
  ];
}

const STATES = { active: "chip-ok", in_trial: "chip-ok", payment_pending: "chip-warn", not_started: "chip-warn" };

function subscriptions() {
  const list = customer.subscriptions.map((sub) =>
    el(
      "li",
      { class: "row" },
      el("div", { class: "row-main" }, sub.plan_name && el("strong", {}, sub.plan_name), el("code", {}, sub.plan), sub.version && el("span", { class: "count" }, `version ${sub.version}`)),
      el(
        "div",
        { class: "row-tools" },
        el("span", { class: `chip ${STATES[sub.status] ?? ""}` }, words(sub.status)),
        !customer.archived && sub.status in STATES &&
          button("End…", () => endSubscription(customer, sub), { class: "small", "aria-label": `End the subscription to ${sub.plan}${sub.resource ? ` of ${sub.resource}` : ""}`, data: { key: `end-${sub.id}` } }),
      ),
      el("p", { class: "row-note" }, subscriptionNotes(sub).flatMap((text, at) => (at ? [" · ", text] : [text]))),
    ),
  );
  return [
    el("div", { class: "block-head" }, el("h2", {}, "Subscriptions"), el("span", { class: "count" }, list.length ? number(list.length) : "")),
    list.length ? el("ul", {}, list) : el("p", { class: "row-note" }, "It has subscribed to nothing."),
  ];
}

function subscriptionNotes(sub) {
  const notes = [`since ${moment(sub.start)}`];
  if (sub.end) notes.push(`until ${moment(sub.end)}`);
  if (sub.trial_end) notes.push(`trial until ${moment(sub.trial_end)}`);
  if (sub.resource) notes.push(el("span", {}, "resource ", el("code", {}, sub.resource)));
  for (const addon of sub.addons) notes.push(el("span", {}, "add-on ", el("code", {}, addon.id), addon.quantity > 1 ? ` × ${addon.quantity}` : ""));
  if (sub.agreements.length) notes.push(count(sub.agreements.length, "limit of its own", "limits of its own"));
  if (sub.budget !== null) notes.push(`budget ${number(sub.budget)}`);
  notes.push(el("code", {}, sub.id));
  return notes;
}

function promotions() {
  return [
    el("h2", {}, "Promotions"),
    el(
      "ul",
      {},
      customer.promotions.map((item) =>
        el(
          "li",
          { class: "row" },
          el("div", { class: "row-main" }, el("code", {}, item.feature), el("span", {}, item.says)),
          button("Take away…", () => revokePromotion(customer, item), { class: "small", "aria-label": `Take away the promotion of ${item.feature}`, data: { key: `revoke-${item.feature}` } }),
          el("p", { class: "row-note" }, item.holds ? (item.end ? `ends ${distance(item.end, now())}, ${moment(item.end)} UTC` : "for good") : "over, or paused"),
        ),
      ),
    ),
  ];
}
