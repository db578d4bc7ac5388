// The list of customers: searched, a page at a time.

import { get } from "./api.js";
import { button, byId, el, settled } from "./dom.js";
import { count } from "./format.js";
import { makeCustomer } from "./subscribing.js";

const PAGE = 50;
let shown = [];
let next = null;
let asking = null;
let current = null;

export function startCustomers() {
  byId("new-customer").addEventListener("click", newCustomer);
  byId("customer-search").addEventListener("input", settled(() => load(), 150));
  return load();
}

function newCustomer() {
  makeCustomer((id) => {
    location.hash = hrefOf(id);
    reload();
  });
}

/** The address of a customer within the page. */
export const hrefOf = (id) => `#/customer/${encodeURIComponent(id)}`;

/** The list anew, as long as it was: a customer was added or changed. */
export const reload = () => load(Math.min(200, Math.max(PAGE, shown.length)));

/** Mark the customer that is looked at. */
export function setCurrent(id) {
  current = id;
  mark();
}

async function load(limit = PAGE) {
  asking?.abort();
  asking = new AbortController();
  const search = byId("customer-search").value.trim();
  try {
    const found = await get("/local/customers", { search, limit }, asking.signal);
    shown = found.customers;
    next = found.next;
    show(search);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error);
  }
}

async function more() {
  const search = byId("customer-search").value.trim();
  const last = byId("customer-list").lastElementChild;
  try {
    const found = await get("/local/customers", { search, after: next, limit: PAGE });
    shown = shown.concat(found.customers);
    next = found.next;
    show(search);
    // The keyboard goes on with the first of the new ones.
    last?.nextElementSibling?.querySelector("a").focus();
  } catch (error) {
    showProblem(error);
  }
}

function show(search) {
  const list = byId("customer-list");
  list.replaceChildren(...shown.map(item));
  list.setAttribute("aria-busy", "false");
  mark();
  const end = byId("customer-list-end");
  if (!shown.length) {
    end.replaceChildren(
      search
        ? el("p", {}, `No customer has “${search}” in its id, name or email.`)
        : el("p", {}, "There are no customers yet. Make one here, add some to the catalog, or provision one over the API."),
    );
  } else {
    const told = el("p", { role: "status" }, next ? `${count(shown.length, "customer")} shown` : count(shown.length, "customer"));
    end.replaceChildren(told, ...(next ? [button(`Show ${PAGE} more`, more)] : []));
  }
}

function showProblem(error) {
  byId("customer-list").setAttribute("aria-busy", "false");
  byId("customer-list-end").replaceChildren(
    el("p", { class: "problem", role: "alert" }, error.message),
    button("Try again", () => load()),
  );
}

const item = (customer) =>
  el(
    "li",
    {},
    el(
      "a",
      { href: hrefOf(customer.id), data: { id: customer.id } },
      el("span", { class: "customer-id" }, customer.id),
      el(
        "span",
        { class: "customer-sub" },
        customer.name && el("span", {}, customer.name),
        customer.archived
          ? el("span", { class: "chip" }, "Archived")
          : el("span", {}, customer.plans.join(", ") || "No active subscription"),
      ),
    ),
  );

function mark() {
  for (const link of byId("customer-list").querySelectorAll("a")) {
    if (link.dataset.id === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
