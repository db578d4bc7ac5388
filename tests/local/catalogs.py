"""Hypothesis strategies: whole catalogs with one customer, as people write them.

Only making them lives here; what is asked about them does not.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Written = dict[str, Any]
FEATURES: list[Written] = [
    {"id": "calls", "type": "metered", "meter": "incremental"},
    {"id": "seats", "type": "metered", "meter": "fluctuating"},
    {
        "id": "space",
        "type": "metered",
        "meter": "incremental",
        "unit_transformation": {"divide": 4, "round": "up"},
    },
    {"id": "sso", "type": "boolean"},
    {"id": "size", "type": "numeric"},
    {"id": "export", "type": "enum", "values": ["csv", "xlsx", "pdf"]},
]
METERED = ("calls", "seats", "space")
ANCHORS = {
    "hour": ["subscription_start"],
    "day": ["subscription_start"],
    "week": ["subscription_start", "monday", "sunday"],
    "month": ["subscription_start", "start_of_month"],
    "year": ["subscription_start"],
}
# Close together, so that much begins and ends around the moments asked about.
times = st.sampled_from(
    [
        "2023-10-31T00:00:00",
        "2023-11-15T09:30:00",
        "2023-11-30T23:00:00",
        "2023-12-01T00:00:00",
        "2023-12-01T00:20:00",
        "2023-12-04T12:00:00",
        "2024-01-31T00:00:00",
        "2024-02-29T10:00:00",
    ]
)
small = st.sampled_from([0, 1, 2, 2.5, 5])


resets = st.sampled_from(
    [(period, anchor) for period, anchors in ANCHORS.items() for anchor in anchors]
)


@st.composite
def entitlement(draw: st.DrawFn, feature: str, *, revoked: bool = True) -> Written:
    if revoked and draw(st.integers(0, 6)) == 0:
        return {"granted": False}
    if feature == "sso":
        return {"granted": True}
    if feature == "export":
        values = st.lists(
            st.sampled_from(["csv", "xlsx", "pdf"]), min_size=1, unique=True
        )
        return {"values": draw(values)}
    if draw(st.integers(0, 6)) == 0:
        said: Written = {"unlimited": True}
    elif feature == "size":
        return {"value": draw(st.sampled_from([-(2**31), -1, 0, 3, 2**31 - 1]))}
    else:
        said = {"limit": draw(small)}
    if feature != "size":
        if draw(st.booleans()):
            said["soft_limit"] = True
        if draw(st.booleans()):
            said["reset_period"], said["reset_anchor"] = draw(resets)
    return said


@st.composite
def entitlements(draw: st.DrawFn, *, addon: bool = False) -> Written:
    said: Written = {}
    for feature in FEATURES:
        if draw(st.integers(0, 2)):
            said[feature["id"]] = draw(entitlement(feature["id"]))
    if addon:
        for item in said.values():
            if draw(st.booleans()):
                item["behavior"] = "override"
    return said


charges = st.dictionaries(
    st.sampled_from(METERED),
    st.fixed_dictionaries({"price": st.sampled_from([0, 0.1, 1]), "included": small}),
    max_size=2,
)


@st.composite
def plans(draw: st.DrawFn) -> list[Written]:
    """Plans that inherit from those before them, and some in several versions."""
    made: list[Written] = []
    for name in ("a", "b", "c", "d")[: draw(st.integers(1, 4))]:
        parents = [None, *dict.fromkeys(plan["id"] for plan in made)]
        for version in range(1, 1 + draw(st.integers(1, 2))):
            made.append(
                {
                    "id": name,
                    "version": version,
                    "status": draw(st.sampled_from(["published", "draft"])),
                    "parent": draw(st.sampled_from(parents)),
                    "entitlements": draw(entitlements()),
                    "charges": draw(charges),
                }
            )
    return made


@st.composite
def subscription(
    draw: st.DrawFn, plans: list[Written], addons: list[Written]
) -> Written:
    plan = draw(st.sampled_from(plans))
    made: Written = {
        "plan": plan["id"],
        "start": draw(times),
        "status": draw(st.sampled_from(["active", "active", "in_trial", "canceled"])),
        "billing_period": draw(st.sampled_from(["monthly", "annually"])),
        "entitlements": draw(entitlements()) if draw(st.booleans()) else {},
        "addons": [
            {"id": addon["id"], "quantity": draw(st.integers(1, 3))}
            for addon in addons
            if draw(st.booleans())
        ],
    }
    if draw(st.booleans()):
        made["plan_version"] = plan["version"]
    if draw(st.booleans()):
        made["resource"] = "r"
    later = [time for time in LATER if time > made["start"]]
    if draw(st.booleans()) and later:
        made["end"] = draw(st.sampled_from(later))
    if draw(st.booleans()) and later and made["status"] == "in_trial":
        made["trial_end"] = draw(st.sampled_from(later))
    if draw(st.booleans()):
        made["budget"] = {"limit": draw(small), "soft_limit": draw(st.booleans())}
    return made


LATER = ["2023-11-30T23:00:00", "2023-12-04T12:00:00", "2024-03-01T00:00:00"]


@st.composite
def promotion(draw: st.DrawFn) -> Written:
    feature = draw(st.sampled_from([item["id"] for item in FEATURES]))
    made: Written = {
        "feature": feature,
        "entitlement": draw(entitlement(feature, revoked=False)),
        "start": draw(times),
        "status": draw(st.sampled_from(["active", "active", "paused"])),
    }
    later = [time for time in LATER if time > made["start"]]
    if draw(st.booleans()) and later:
        made["end"] = draw(st.sampled_from(later))
    return made


@st.composite
def catalogs(draw: st.DrawFn) -> Written:
    """A catalog with one customer `c` that has the resource `r`."""
    made = draw(plans())
    addons: list[Written] = [
        {
            "id": name,
            "entitlements": draw(entitlements(addon=True)),
            "charges": draw(charges),
        }
        for name in ("x", "y")[: draw(st.integers(0, 2))]
    ]
    customer: Written = {
        "id": "c",
        "archived": draw(st.integers(0, 9)) == 0,
        "resources": ["r"],
        "subscriptions": draw(
            st.lists(subscription(made, addons), min_size=1, max_size=3)
        ),
        "promotions": draw(st.lists(promotion(), max_size=2)),
    }
    return {
        "features": FEATURES,
        "plans": made,
        "addons": addons,
        "customers": [customer],
    }
