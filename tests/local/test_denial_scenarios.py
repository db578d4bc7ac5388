"""The scenarios that the documentation shows deny as it says: every reason, run."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from sidecar_client.local import LocalSidecar
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import Clock, ask, reason_of

PAGE = Path(__file__).parents[2] / "docs" / "denial-scenarios.md"
Scenario = dict[str, Any]


def scenarios() -> list[tuple[str, Scenario]]:
    """Each scenario of the page, with the heading that it stands under."""
    found: list[tuple[str, Scenario]] = []
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.M)[1:]:
        heading = section.partition("\n")[0]
        for block in re.findall(r"^```yaml\n(.*?)^```", section, re.M | re.S):
            found.append((heading, cast("Scenario", yaml.safe_load(block))))
    return found


def request_of(question: Scenario) -> Any:
    """The request that a question stands for; all of it must be understood."""
    question = dict(question)
    name = "GetEntitlementV2" if "currency" in question else "GetEntitlement"
    kind: Any = getattr(pb, f"{question.pop('method', name)}Request")
    told = {"customer_id": question.pop("customer")}
    for part in ("resource", "feature", "currency"):
        if part in question:
            told[f"{part}_id"] = question.pop(part)
    options: dict[str, object] = {}
    for part in ("usage", "values"):
        if part in question:
            options[f"requested_{part}"] = question.pop(part)
    if "fallback" in question:
        options["fallback"] = question.pop("fallback")
    assert not question
    return kind(**told, options=options)


def prepare(sidecar: LocalSidecar, scenario: Scenario) -> None:
    for report in scenario.pop("report", ()):
        ask(
            sidecar,
            pb.ReportUsageRequest(
                customer_id=report["customer"],
                feature_id=report["feature"],
                value=report["value"],
            ),
        )
    events = [
        pb.Event(
            customer_id=event["customer"],
            event_name=event["name"],
            idempotency_key=str(at),
        )
        for at, event in enumerate(scenario.pop("event", ()))
    ]
    if events:
        ask(sidecar, pb.ReportEventsRequest(events=events))


@pytest.mark.parametrize(
    ("heading", "scenario"),
    [pytest.param(*item, id=f"{at}-{item[0]}") for at, item in enumerate(scenarios())],
)
def test_scenario_denies_as_the_page_says(heading: str, scenario: Scenario) -> None:
    scenario = dict(scenario)
    day: date = scenario.pop("now", date(2026, 1, 15))
    clock = Clock(datetime(day.year, day.month, day.day, tzinfo=UTC))
    offline = scenario.pop("offline", False)
    with LocalSidecar(scenario.pop("catalog"), clock=clock, offline=offline) as sidecar:
        prepare(sidecar, scenario)
        answer = ask(sidecar, request_of(scenario.pop("ask")))
    if isinstance(answer, pb.GetEntitlementV2Response):
        answer = answer.entitlement
    expected = scenario.pop("answer")
    assert not scenario
    assert not answer.has_access
    assert reason_of(answer) == expected.pop("reason") == heading
    assert answer.is_fallback == expected.pop("is_fallback", False)
    if expected:
        entitlement = getattr(answer, answer.WhichOneof("entitlement"))
        for name, value in expected.items():
            told = getattr(entitlement, name)
            assert (list(told) if isinstance(value, list) else told) == value


def test_page_has_every_reason_of_the_protocol() -> None:
    reasons = {
        name.removeprefix("ACCESS_DENIED_REASON_")
        for name in pb.AccessDeniedReason.keys()  # noqa: SIM118 (no dictionary)
    }
    assert {heading for heading, _ in scenarios()} == reasons - {"UNSPECIFIED"}
