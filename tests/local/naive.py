"""A second evaluator, for tests alone: small, slow, and straight from the reference.

It reads catalogs as they are written, as mappings, and shares no code with the core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from dateutil.relativedelta import relativedelta

Written = dict[str, Any]
"""Something as a catalog writes it."""
Place = tuple[object, ...]
"""What tells a counter from others."""
INT32 = 2**31
STEPS = {
    "hour": relativedelta(hours=1),
    "day": relativedelta(days=1),
    "week": relativedelta(weeks=1),
    "month": relativedelta(months=1),
    "year": relativedelta(years=1),
}
LENGTHS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Naive:
    """A world with one customer, and what was reported in it."""

    def __init__(self, catalog: Written) -> None:
        self.catalog = catalog
        self.features = {item["id"]: item for item in catalog["features"]}
        self.addons = {item["id"]: item for item in catalog["addons"]}
        (self.customer,) = catalog["customers"]
        self.used: dict[Place, float] = {}

    # What is granted.

    def plan(self, name: str, version: int | None) -> Written:
        """A version of a plan; the latest published one when none is named."""
        versions = [item for item in self.catalog["plans"] if item["id"] == name]
        if version is not None:
            return next(v for v in versions if v["version"] == version)
        published = [v for v in versions if v["status"] == "published"]
        return max(published or versions, key=lambda item: item["version"])

    def inherited(self, plan: Written, feature: str) -> Written | None:
        """What the plan says, else its parent, and so on."""
        if feature in plan["entitlements"]:
            return dict(plan["entitlements"][feature])
        if plan.get("parent") is None:
            return None
        return self.inherited(self.plan(plan["parent"], None), feature)

    def of_subscription(self, sub: Written, feature: str) -> Written | None:
        """What one subscription says; None if nothing."""
        plan = self.plan(sub["plan"], sub.get("plan_version"))
        said = self.inherited(plan, feature)
        if feature in sub["entitlements"]:
            said = dict(sub["entitlements"][feature])
        bought = [
            (self.addons[item["id"]]["entitlements"][feature], item["quantity"])
            for item in sub["addons"]
            if feature in self.addons[item["id"]]["entitlements"]
        ]
        plain = [pair for pair in bought if granted(pair[0])]
        overrides = [
            multiplied(*p) for p in plain if p[0].get("behavior") == "override"
        ]
        if overrides:
            best = max(overrides, key=amount)
            values = [value for item in overrides for value in item.get("values", ())]
            periods = said if said and "reset_period" not in best else {}
            anchors = {key: periods[key] for key in RESETS if key in periods}
            said = {**best, "values": values, **anchors}
        elif any(not granted(item) for item, _ in bought):
            said = {"granted": False}
        else:
            for more in (multiplied(*pair) for pair in plain):
                said = summed(said, more) if said and granted(said) else more
        if said and "limit" in said and self.charge(sub, feature):
            said = {**said, "soft_limit": True}
        return said

    def charge(self, sub: Written, feature: str) -> Written | None:
        """What a unit costs: by the plan, else by the first add-on."""
        plan = self.plan(sub["plan"], sub.get("plan_version"))
        packages = [plan, *(self.addons[item["id"]] for item in sub["addons"])]
        for package in packages:
            if feature in package["charges"]:
                return dict(package["charges"][feature])
        return None

    def running(self, resource: str | None, now: datetime) -> list[Written]:
        """The resource's subscriptions, then the customer's."""
        subs = [sub for sub in self.customer["subscriptions"] if runs(sub, now)]
        own = [sub for sub in subs if sub.get("resource") == resource]
        whole = [sub for sub in subs if sub.get("resource") is None]
        return whole if resource is None else own + whole

    def winner(
        self, feature: str, resource: str | None, now: datetime
    ) -> tuple[Written, Written | None, str] | None:
        """What counts, on which subscription, and what kind of thing it is."""
        found: list[tuple[Written, Written | None, str]] = []
        for sub in self.running(resource, now):
            said = self.of_subscription(sub, feature)
            if said and granted(said):
                found.append((said, sub, "subscription"))
        beside = max(found, key=lambda one: amount(one[0]), default=None)
        for item in self.customer["promotions"]:
            if item["feature"] == feature and promotes(item, now):
                host = beside[1] if beside else None
                said = {**item["entitlement"], "begun": item["start"]}
                found.append((said, host, "promotion"))
        return max(found, key=lambda one: amount(one[0]), default=None)

    # What is used.

    def place(
        self, feature: str, won: tuple[Written, Written | None, str], moment: datetime
    ) -> tuple[Place, tuple[datetime, datetime] | None]:
        said, sub, _ = won
        resource = sub.get("resource") if sub else None
        found = None
        if "reset_period" in said:
            begun = at(sub["start"] if sub else said["begun"])
            rule = said.get("reset_anchor", "subscription_start")
            found = window(moment, said["reset_period"], rule, begun)
        return (resource, feature, found and found[0]), found

    def billed(
        self, feature: str, won: tuple[Written, Written | None, str], moment: datetime
    ) -> Place:
        """Where it is told what is used in a billing period."""
        place, found = self.place(feature, won, moment)
        sub = won[1]
        assert sub is not None
        if self.features[feature]["meter"] == "fluctuating":
            return place
        begun = at(sub["start"])
        period = "year" if sub["billing_period"] == "annually" else "month"
        billing = window(moment, period, "subscription_start", begun)
        if found == billing:
            return place
        return ("billed", sub.get("resource"), feature, billing[0])

    def report(
        self, feature: str, resource: str | None, value: float, now: datetime
    ) -> None:
        """Count what is used, if it is entitled to."""
        if self.reason_of_subject(resource) or not (
            won := self.winner(feature, resource, now)
        ):
            return
        places = {self.place(feature, won, now)[0]}
        if won[1] is not None and self.charge(won[1], feature):
            places.add(self.billed(feature, won, now))
        for place in places:
            self.used[place] = self.used.get(place, 0.0) + value

    def units(self, feature: str, place: Place) -> float:
        """What is used, in the units that are granted."""
        raw = Fraction(self.used.get(place, 0.0))
        change = self.features[feature].get("unit_transformation")
        if change is None:
            return float(raw)
        divided = raw / Fraction(change["divide"])
        return float(math.ceil(divided) if change["round"] == "up" else divided // 1)

    # Verdicts.

    def reason_of_subject(self, resource: str | None) -> str | None:
        if self.customer["archived"]:
            return "CUSTOMER_IS_ARCHIVED"
        if resource is not None and resource not in self.customer["resources"]:
            return "CUSTOMER_RESOURCE_NOT_FOUND"
        return None

    def reason(
        self,
        feature: str,
        resource: str | None,
        now: datetime,
        requested: float | None,
        values: list[str],
    ) -> str | None:
        """Why it is denied; None when it is granted."""
        if problem := self.reason_of_subject(resource):
            return problem
        if feature not in self.features:
            return "FEATURE_NOT_FOUND"
        won = self.winner(feature, resource, now)
        if won is None:
            subs = self.running(resource, now)
            if not subs:
                return "NO_ACTIVE_SUBSCRIPTION"
            if any(self.of_subscription(sub, feature) for sub in subs):
                return "REVOKED"
            return "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
        said = won[0]
        if self.features[feature]["type"] == "metered":
            used = self.units(feature, self.place(feature, won, now)[0])
            hard = not said.get("unlimited") and not said.get("soft_limit")
            if hard and not fits(used, requested, said["limit"]):
                return "REQUESTED_USAGE_EXCEEDING_LIMIT"
            if self.is_over_budget(feature, won, now, requested):
                return "BUDGET_EXCEEDED"
        allowed = self.values(feature, resource, now)
        if self.features[feature]["type"] == "enum" and set(values) - set(allowed):
            return "REQUESTED_VALUES_MISMATCH"
        return None

    def values(self, feature: str, resource: str | None, now: datetime) -> list[str]:
        """The enum values of everything that grants the feature."""
        found: list[str] = []
        for sub in self.running(resource, now):
            said = self.of_subscription(sub, feature)
            if said and granted(said):
                found += said.get("values", ())
        for item in self.customer["promotions"]:
            if item["feature"] == feature and promotes(item, now):
                found += item["entitlement"].get("values", ())
        return found

    def is_over_budget(
        self,
        feature: str,
        won: tuple[Written, Written | None, str],
        now: datetime,
        requested: float | None,
    ) -> bool:
        _, sub, kind = won
        if sub is None or kind == "promotion" or not self.charge(sub, feature):
            return False
        budget = sub.get("budget")
        if budget is None or budget.get("soft_limit"):
            return False
        limit, spent = decimal(budget["limit"]), Fraction(0)
        more = Fraction(0)
        for name, charge, used in self.charged(sub, now):
            spent += cost(charge, used)
            if name == feature and requested is not None:
                more = cost(charge, used + requested) - cost(charge, used)
            elif name == feature and spent >= 0:
                more = cost(charge, used + 1e-6) - cost(charge, used)
        if requested is None:
            return spent > limit or (spent == limit and more > 0)
        return spent + more > limit

    def charged(
        self, sub: Written, now: datetime
    ) -> Iterator[tuple[str, Written, float]]:
        for name in self.features:
            charge, said = self.charge(sub, name), self.of_subscription(sub, name)
            if charge and said and granted(said):
                place = self.billed(name, (said, sub, "subscription"), now)
                yield name, charge, self.units(name, place)


RESETS = ("reset_period", "reset_anchor")


def granted(said: Written) -> bool:
    return bool(said.get("granted", True))


def amount(said: Written) -> tuple[bool, float, bool]:
    """What makes it more generous than another."""
    number = said.get("value", said.get("limit", 0))
    return (said.get("unlimited", False), number or 0, said.get("soft_limit", False))


def multiplied(said: Written, quantity: int) -> Written:
    more = dict(said)
    if "value" in said:
        more["value"] = max(-INT32, min(INT32 - 1, said["value"] * quantity))
    if "limit" in said:
        more["limit"] = said["limit"] * quantity
    return more


def summed(one: Written, other: Written) -> Written:
    """Both together; with the reset period of the first."""
    both = dict(one)
    for key in ("unlimited", "soft_limit"):
        both[key] = one.get(key, False) or other.get(key, False)
    both["values"] = [*one.get("values", ()), *other.get("values", ())]
    for key in ("value", "limit"):
        numbers = [item[key] for item in (one, other) if key in item]
        both.pop(key, None)
        if numbers and not both["unlimited"]:
            both[key] = sum(numbers)
    if "value" in both:
        both["value"] = max(-INT32, min(INT32 - 1, both["value"]))
    return both


def runs(sub: Written, now: datetime) -> bool:
    if sub["status"] not in ("active", "in_trial") or now < at(sub["start"]):
        return False
    if "end" in sub and now >= at(sub["end"]):
        return False
    return not ("trial_end" in sub and now >= at(sub["trial_end"]))


def promotes(item: Written, now: datetime) -> bool:
    over = "end" in item and now >= at(item["end"])
    return item["status"] == "active" and at(item["start"]) <= now and not over


def fits(used: float, requested: float | None, limit: float) -> bool:
    return used < limit if requested is None else used + requested <= limit


def decimal(number: float) -> Fraction:
    return Fraction(str(number))


def cost(charge: Written, used: float) -> Fraction:
    beyond = decimal(used) - decimal(charge["included"])
    return max(Fraction(0), beyond) * decimal(charge["price"])


def window(
    moment: datetime, period: str, rule: str, begun: datetime
) -> tuple[datetime, datetime]:
    """Step from the anchor to the window that holds the moment; cut where it begins."""
    anchor = begun
    if period in ("hour", "day") or rule != "subscription_start":
        anchor = anchor.replace(hour=0, minute=0, second=0, microsecond=0)
    if rule == "start_of_month":
        anchor = anchor.replace(day=1)
    while rule in DAYS and DAYS[anchor.weekday()] != rule:
        anchor -= relativedelta(days=1)
    count = (moment - anchor) // LENGTHS[period]  # Close by; the rest is stepped.
    while anchor + STEPS[period] * count > moment:
        count -= 1
    while anchor + STEPS[period] * (count + 1) <= moment:
        count += 1
    start, end = anchor + STEPS[period] * count, anchor + STEPS[period] * (count + 1)
    if start < begun <= moment:
        return begun, end
    return (start, begun) if moment < begun < end else (start, end)
