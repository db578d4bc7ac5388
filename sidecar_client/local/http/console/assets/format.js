// Numbers, times and words as people read them.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
const LARGE = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

export const number = (value) => (Math.abs(value) >= 1e12 ? LARGE : NUMBER).format(value);

/** A count with its thing: `1 customer`, `2 customers`. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** A moment in UTC: `2026-11-28 07:20`. */
export const moment = (iso) => `${iso.slice(0, 10)} ${iso.slice(11, 16)}`;

const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });

/** The day of a moment in UTC: `Dec 15`. */
export const day = (iso) => DAY.format(new Date(iso));

/** The time of day with seconds. */
export const clockTime = (iso) => iso.slice(11, 19);

/** A length of time by its largest unit: `31 days`. */
export function span(seconds) {
  const length = Math.abs(seconds);
  const [name, size] = UNITS.find(([, unit]) => length >= unit) ?? UNITS.at(-1);
  return count(Math.round(length / size), name);
}

/** How far away a moment is from now: `in 3 days`. */
export function distance(iso, now) {
  const seconds = (Date.parse(iso) - now) / 1000;
  return seconds >= 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`;
}

const REASONS = {
  CUSTOMER_IS_ARCHIVED: "Customer is archived",
  CUSTOMER_NOT_FOUND: "No such customer",
  CUSTOMER_RESOURCE_NOT_FOUND: "No such resource",
  FEATURE_NOT_FOUND: "No such feature",
  NO_ACTIVE_SUBSCRIPTION: "No active subscription",
  NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION: "Not in the subscription",
  REQUESTED_USAGE_EXCEEDING_LIMIT: "Limit reached",
  REQUESTED_VALUES_MISMATCH: "Values not included",
  FEATURE_TYPE_MISMATCH: "Feature of another type",
  BUDGET_EXCEEDED: "Budget spent",
  INSUFFICIENT_CREDITS: "Not enough credits",
  REVOKED: "Revoked",
  ENTITLEMENT_NOT_FOUND: "Nothing granted",
};

/** A denial's reason in words. */
export const reason = (code) => REASONS[code] ?? (code ? code.toLowerCase().replaceAll("_", " ") : "Denied");

/** A status such as `in_trial` in words. */
export const words = (name) => name.replaceAll("_", " ");
