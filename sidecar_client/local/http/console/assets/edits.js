// The forms that change a customer: limits, promotions, usage, credits, archive.

import { get, ofCustomer, post, remove } from "./api.js";
import { numberIn, openForm, textIn } from "./dialogs.js";
import { el, field, select, settled } from "./dom.js";
import { number } from "./format.js";

const RESETS = [["", "never"], ["hour", "each hour"], ["day", "each day"], ["week", "each week"], ["month", "each month"], ["year", "each year"]];
const PERIODS = [
  ["one_week", "a week"], ["one_month", "a month"], ["six_months", "six months"],
  ["one_year", "a year"], ["lifetime", "for good"], ["custom", "until a date"],
];

/** Edit what a feature's entitlement says, for one customer or for a plan. */
export function editLimit(customer, item, resource) {
  const { feature } = item;
  const subscription = subscriptionOf(customer, item, resource);
  const plan = subscription?.plan;
  const agreed = subscription?.agreements.some((other) => other.feature === feature.id);
  const terms = termsFields(feature, item.granted);
  if (!subscription) {
    openForm({
      title: `Limit of ${feature.name || feature.id}`,
      lead: "Without a subscription that runs there is no limit to edit. Grant a promotion instead.",
      body: [],
    });
    return;
  }
  const scope = el(
    "fieldset",
    { class: "choices" },
    el("legend", {}, "Whom it is for"),
    choice("scope", "customer", true, "This customer alone ", el("code", {}, customer.id)),
    choice("scope", "plan", false, "Everybody on the plan ", el("code", {}, plan)),
  );
  const isForAll = () => scope.querySelector(":checked").value === "plan";
  const send = (wish) =>
    isForAll()
      ? post(`/local/plans/${encodeURIComponent(plan)}/entitlements`, { feature: feature.id, terms: wish })
      : post(ofCustomer(customer.id, "agreements"), { feature: feature.id, subscription: subscription.id, terms: wish });
  openForm({
    title: `Limit of ${feature.name || feature.id}`,
    lead: item.winner ? `Now: ${item.winner.says}.` : "Now: not granted.",
    body: [scope, ...terms.fields],
    action: "Save",
    submit: async () => {
      await send(terms.read());
      return isForAll() ? `${feature.id} is changed for everybody on ${plan}.` : `${feature.id} is changed for ${customer.id}.`;
    },
    aside: agreed
      ? {
          label: "Back to the plan’s",
          run: async () => {
            await post(ofCustomer(customer.id, "agreements"), { feature: feature.id, subscription: subscription.id, terms: null });
            return `${customer.id} has what its plan says of ${feature.id}.`;
          },
        }
      : null,
  });
}

/** Give a customer a feature beside its subscriptions. */
export function grantPromotion(customer) {
  const picker = featurePicker(() => true, adapt);
  const period = select(PERIODS, "one_month", { onchange: () => (end.hidden = period.value !== "custom") });
  const date = el("input", { type: "datetime-local", step: 1 });
  const end = field("Until (UTC)", date);
  end.hidden = true;
  const place = el("div", { class: "dialog-body" });
  let terms = null;
  openForm({
    title: "Grant a promotion",
    lead: `${customer.id} gets it at once. Among all that grants a feature, the most generous counts.`,
    body: [picker.field, place, el("div", { class: "pair" }, field("For how long", period), end)],
    action: "Grant it",
    submit: async () => {
      const feature = await picker.read();
      if (!terms || terms.feature !== feature.id) adapt(feature);
      const wish = { feature: feature.id, terms: terms.read(), period: period.value };
      if (period.value === "custom") wish.end = `${textIn(date, "The date")}Z`;
      await post(ofCustomer(customer.id, "promotions"), wish);
      return `${customer.id} has ${feature.id} as a promotion.`;
    },
  });

  function adapt(feature) {
    terms = termsFields(feature, null);
    place.replaceChildren(...terms.fields);
  }
}

/** Take a promotion away. */
export function revokePromotion(customer, promotion) {
  openForm({
    title: "Take the promotion away?",
    lead: `${customer.id} then has of ${promotion.feature} what its subscriptions say.`,
    body: [],
    action: "Take it away",
    danger: true,
    submit: async () => {
      await remove(ofCustomer(customer.id, "promotions", promotion.feature));
      return `The promotion of ${promotion.feature} is gone.`;
    },
  });
}

/** Report usage as an application does. */
export function reportUsage(customer, resource, item = null) {
  const isCounted = (feature) => feature.type === "metered" && !feature.event;
  const picker = featurePicker(isCounted, () => {}, item?.feature);
  const value = el("input", { type: "number", step: "any", value: 1, required: true });
  const update = el(
    "fieldset",
    { class: "choices" },
    el("legend", {}, "How it counts"),
    choice("update", "delta", true, "Add it to what was used; below 0 gives back"),
    choice("update", "set", false, "Make it what is used"),
  );
  openForm({
    title: "Report usage",
    lead: resource ? `By ${customer.id}, for its resource ${resource}.` : `By ${customer.id}.`,
    body: [picker.field, field("Units", value), update],
    action: "Report it",
    submit: async () => {
      const feature = await picker.read();
      const answer = await post(ofCustomer(customer.id, "usage"), {
        feature: feature.id,
        resource: resource || null,
        value: numberIn(value, "Units"),
        update: update.querySelector(":checked").value,
      });
      return `${customer.id} has used ${number(answer.current_usage)} of ${feature.id}.`;
    },
  });
}

/** Give a customer credits of a currency. */
export async function grantCredits(customer, resource) {
  const { currencies } = await get("/local/definitions");
  if (!currencies.length) {
    openForm({ title: "Grant credits", lead: "The catalog has no currencies; define one under `currencies`.", body: [] });
    return;
  }
  const currency = select(currencies.map(({ id, name }) => [id, name ? `${name} (${id})` : id]), currencies[0].id);
  const amount = el("input", { type: "number", min: 0, step: "any", value: 100 });
  const type = select([["promotional", "promotional"], ["paid", "paid"]], "promotional");
  const expires = el("input", { type: "datetime-local", step: 1 });
  openForm({
    title: "Grant credits",
    lead: resource ? `To ${customer.id}, for its resource ${resource}.` : `To ${customer.id}.`,
    body: [
      el("div", { class: "pair" }, field("Currency", currency), field("Amount", amount)),
      el("div", { class: "pair" }, field("Kind", type), field("Expires (UTC), if ever", expires)),
    ],
    action: "Grant them",
    submit: async () => {
      const granted = numberIn(amount, "The amount");
      await post(ofCustomer(customer.id, "credits"), {
        currency: currency.value,
        amount: granted,
        type: type.value,
        resource: resource || null,
        expires: expires.value ? `${expires.value}Z` : null,
      });
      return `${customer.id} has ${number(granted)} more of ${currency.value}.`;
    },
  });
}

/** Archive a customer, or take it back. */
export function archive(customer) {
  const back = customer.archived;
  openForm({
    title: back ? "Take the customer back?" : "Archive the customer?",
    lead: back
      ? "What it had subscribed to counts again."
      : "Every check is then denied with CUSTOMER_IS_ARCHIVED, and its name and email are forgotten. It can be taken back.",
    body: [el("p", { class: "mono" }, customer.id)],
    action: back ? "Unarchive" : "Archive",
    danger: !back,
    submit: async () => {
      await post(ofCustomer(customer.id, back ? "unarchive" : "archive"));
      return back ? `${customer.id} is back.` : `${customer.id} is archived.`;
    },
  });
}

function choice(name, value, checked, ...label) {
  return el("label", {}, el("input", { type: "radio", name, value, checked }), el("span", {}, label));
}

/** The subscription whose limit is edited: the one that counts, else one that runs. */
function subscriptionOf(customer, item, resource) {
  const named = item.winner?.subscription ?? item.others[0]?.subscription;
  const running = customer.subscriptions.filter((sub) => sub.status === "active" || sub.status === "in_trial");
  return (
    customer.subscriptions.find((sub) => sub.id === named) ??
    running.find((sub) => sub.resource === (resource || null)) ??
    running.find((sub) => sub.resource === null)
  );
}

/** The fields that fit a feature's type, and how they are read. */
function termsFields(feature, granted) {
  if (feature.type === "boolean") {
    const box = el(
      "fieldset",
      { class: "choices" },
      el("legend", {}, "Access"),
      choice("granted", "yes", granted !== null || true, "Granted"),
      granted !== null && choice("granted", "no", false, "Revoked: denied with the reason REVOKED"),
    );
    return { feature: feature.id, fields: [box], read: () => ({ granted: box.querySelector(":checked").value === "yes" }) };
  }
  if (feature.type === "enum") {
    const boxes = feature.values.map((value) => el("input", { type: "checkbox", value, checked: granted?.values.includes(value) }));
    const box = el("fieldset", { class: "choices wide" }, el("legend", {}, "Values"), boxes.map((item) => el("label", {}, item, item.value)));
    return { feature: feature.id, fields: [box], read: () => ({ values: boxes.filter((item) => item.checked).map((item) => item.value) }) };
  }
  return amountFields(feature, granted);
}

function amountFields(feature, granted) {
  const isMetered = feature.type === "metered";
  const label = isMetered ? "Limit" : "Value";
  const known = isMetered ? granted?.limit : granted?.value;
  const amount = el("input", { type: "number", step: isMetered ? "any" : 1, min: isMetered ? 0 : null, value: known ?? (granted ? "" : 10) });
  const unlimited = el("input", { type: "checkbox", checked: granted?.unlimited, onchange: () => (amount.disabled = unlimited.checked) });
  amount.disabled = unlimited.checked;
  const soft = el("input", { type: "checkbox", checked: granted?.soft_limit });
  const reset = select(RESETS, granted?.reset_period ?? "");
  const boxes = el(
    "fieldset",
    { class: "choices" },
    el("legend", { class: "visually-hidden" }, "More"),
    el("label", {}, unlimited, "Unlimited"),
    isMetered && el("label", {}, soft, "Soft: access goes on beyond the limit"),
  );
  const named = field(feature.units_plural ? `${label}, in ${feature.units_plural}` : label, amount);
  return {
    feature: feature.id,
    fields: [isMetered ? el("div", { class: "pair" }, named, field("Resets", reset)) : named, boxes],
    read: () => ({
      amount: unlimited.checked ? null : numberIn(amount, label),
      unlimited: unlimited.checked,
      ...(isMetered ? { soft_limit: soft.checked && !unlimited.checked, reset_period: reset.value || null } : {}),
    }),
  };
}

let pickers = 0;
/** A field that finds features while one types, of however many there are. */
function featurePicker(fits, chosen, first = null) {
  const list = el("datalist", { id: `features-${(pickers += 1)}` });
  const input = el("input", { type: "text", list: list.id, autocomplete: "off", spellcheck: "false", maxlength: 255, value: first?.id, placeholder: "Type to search" });
  let known = first ? [first] : [];
  const look = async () => {
    known = (await get("/local/features", { search: input.value.trim(), limit: 50 })).features;
    list.replaceChildren(...known.filter(fits).map((feature) => el("option", { value: feature.id }, feature.name || feature.type)));
    const exact = known.find((feature) => feature.id === input.value.trim());
    if (exact && fits(exact)) chosen(exact);
  };
  input.addEventListener("input", settled(() => look().catch(() => {}), 120));
  if (!first) look().catch(() => {});
  return {
    field: field("Feature", el("span", {}, input, list)),
    read: async () => {
      const id = textIn(input, "The feature");
      if (!known.some((feature) => feature.id === id)) await look();
      const found = known.find((feature) => feature.id === id);
      if (found && fits(found)) return found;
      input.focus();
      throw new Error(found ? `${id} is ${found.event ? "counted from events" : found.type}; usage of it cannot be reported.` : `There is no feature ${id}; choose one of the list.`);
    },
  };
}
