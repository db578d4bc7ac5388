// The forms that make a customer, and begin and end what it subscribes to.

import { get, ofCustomer, post, remove } from "./api.js";
import { openForm, textIn } from "./dialogs.js";
import { el, field, select } from "./dom.js";
import { count } from "./format.js";

const entry = (properties = {}) => el("input", { type: "text", autocomplete: "off", spellcheck: "false", maxlength: 255, ...properties });

/** Make a customer; `then` is called with its id. */
export function makeCustomer(then) {
  const id = entry();
  const name = entry();
  openForm({
    title: "New customer",
    lead: "It subscribes to nothing at first: every check is denied until it does.",
    body: [field("Id", id), field("Name, if any", name)],
    action: "Make it",
    submit: async () => {
      const made = await post("/local/customers", { id: textIn(id, "The id"), name: name.value.trim() || null });
      then(made.id);
      return `${made.id} is there.`;
    },
  });
}

/** Give a customer a subscription to a plan that is published. */
export async function subscribe(customer, resource) {
  const { plans } = await get("/local/definitions");
  if (!plans.length) {
    openForm({ title: "Subscribe", lead: "No plan can be subscribed to; define one under `plans`, or publish one.", body: [] });
    return;
  }
  const plan = select(plans.map((item) => [item.id, labelOf(item)]), plans[0].id);
  const place = entry({ value: resource || "" });
  openForm({
    title: "Subscribe",
    lead: `${customer.id} gets a plan from now on. What it has of the same product ends.`,
    body: [field("Plan", plan), field("Resource, if for one alone", place, "Left empty, it is for the whole customer.")],
    action: "Subscribe",
    submit: async () => {
      await post(ofCustomer(customer.id, "subscriptions"), { plan: plan.value, resource: place.value.trim() || null });
      return `${customer.id} has subscribed to ${plan.value}.`;
    },
  });
}

/** End a subscription at once. */
export function endSubscription(customer, sub) {
  openForm({
    title: "End the subscription?",
    lead: `What ${sub.plan} grants is denied from then on.`,
    body: [el("p", { class: "mono" }, sub.id)],
    action: "End it",
    danger: true,
    submit: async () => {
      await remove(ofCustomer(customer.id, "subscriptions", sub.id));
      return `${customer.id} has ${sub.plan} no more.`;
    },
  });
}

function labelOf({ id, name, trial_days: days }) {
  const named = name ? `${name} (${id})` : id;
  return days ? `${named}, a trial of ${count(days, "day")}` : named;
}
