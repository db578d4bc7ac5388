"""What cannot be metered is one clear error, before anything is asked or reported."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from stigg_guard import AsyncGuard, ConfigurationError, Guard, Settings, Subject
from stigg_guard.metering import moment
from stigg_guard.metering.measurement import Measurement
from stigg_guard.specs import meter_spec
from stigg_guard.steps import RequestScope, Usage
from tests.counting_sidecar import CountingSidecar, counting_sidecar

CUSTOMER = Subject("customer-1")
FEATURE = "feature-1"
NOT_UNITS: list[Any] = [float("nan"), float("inf"), True, "1", None, 10**400, 2**54]


@pytest.fixture
def sidecar() -> Iterator[CountingSidecar]:
    with counting_sidecar() as running:
        yield running


@pytest.fixture
def guard(sidecar: CountingSidecar) -> Iterator[Guard]:
    made = Guard(target=sidecar.target, timeout=5, write_timeout=5, drain_timeout=0)
    yield made
    made.close()


@pytest.mark.parametrize("value", NOT_UNITS)
def test_what_is_no_number_of_units_is_refused_at_every_door(
    guard: Guard, sidecar: CountingSidecar, value: Any
) -> None:
    with pytest.raises(ValueError, match="value is"):
        guard.report(CUSTOMER, FEATURE, value)
    with pytest.raises(ValueError, match="value is"):
        guard.report_event(CUSTOMER, "sent", feature_id=FEATURE, value=value)
    with pytest.raises(ValueError, match="value is"):
        guard.metered(CUSTOMER, FEATURE, value=value).__enter__()
    with pytest.raises(ValueError, match="hold is"):
        meter_spec(FEATURE, hold=value)
    with pytest.raises(ValueError, match=r"usage\.value is"):
        Usage().value = value
    assert not sidecar.calls


def test_a_total_below_nothing_is_refused(guard: Guard) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        guard.report(CUSTOMER, FEATURE, -1, update="set")


@pytest.mark.parametrize("name", ["", "  ", 7])
def test_an_event_has_a_name(guard: Guard, name: Any) -> None:
    with pytest.raises(ValueError, match="event is"):
        guard.report_event(CUSTOMER, name)


@pytest.mark.parametrize("wrong", ["", None, 7])
def test_usage_is_somebodys(guard: Guard, sidecar: CountingSidecar, wrong: Any) -> None:
    with pytest.raises(ValueError, match="subject is"):
        guard.report(wrong, FEATURE)
    with pytest.raises(ValueError, match="subject is"):
        guard.report_event(wrong, "sent")
    assert not sidecar.calls


def test_names_that_cannot_be_sent_are_refused(guard: Guard) -> None:
    half = "\ud83d"  # of an emoji, as JSON can carry it
    with pytest.raises(ValueError, match="valid UTF-8"):
        guard.report(Subject(half), FEATURE)
    with pytest.raises(ValueError, match="valid UTF-8"):
        guard.report(Subject("customer-1", half), FEATURE)
    with pytest.raises(ValueError, match="valid UTF-8"):
        guard.report(CUSTOMER, half)
    with pytest.raises(ValueError, match="valid UTF-8"):
        guard.report_event(CUSTOMER, half)
    assert guard.counts == {}


def test_a_hook_is_a_function(guard: Guard) -> None:
    wrong: Any = "billing.alert"
    with pytest.raises(ValueError, match='the hook for "parked" is'):
        guard.on("parked", wrong)


def test_an_event_sets_no_total() -> None:
    with pytest.raises(ValueError, match='event is "sent" and a new total'):
        meter_spec(FEATURE, event="sent", update="set")


def test_a_meter_names_a_feature_or_an_event() -> None:
    with pytest.raises(ValueError, match="neither a feature nor an event"):
        meter_spec()


@pytest.mark.parametrize(
    "dimensions",
    [
        {"n": None},
        {"n": [1]},
        {1: "x"},
        {"": 1},
        {"n": float("nan")},
        {"n": "\ud800"},
        "text",
    ],
)
def test_dimensions_are_strings_numbers_and_booleans(
    guard: Guard, dimensions: Any
) -> None:
    with pytest.raises(ValueError, match="dimension"):
        guard.report_event(CUSTOMER, "sent", dimensions=dimensions)


def test_an_event_over_a_megabyte_is_refused(
    guard: Guard, sidecar: CountingSidecar
) -> None:
    with pytest.raises(ValueError, match="put less into its dimensions"):
        guard.report_event(CUSTOMER, "sent", dimensions={"text": "x" * 1_000_000})
    assert not sidecar.calls


def test_a_naive_timestamp_is_taken_as_utc_with_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moment, "_warned", False)
    naive = datetime(2026, 5, 1, 12)
    with pytest.warns(moment.NaiveTimestampWarning, match="taken as UTC"):
        assert moment.as_moment("timestamp", naive) == naive.replace(tzinfo=UTC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moment.as_moment("timestamp", naive)


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-05-01",
        1.0,
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_what_is_no_moment_is_refused(guard: Guard, wrong: Any) -> None:
    with pytest.raises(ValueError, match="timestamp is"):
        guard.report(CUSTOMER, FEATURE, timestamp=wrong)


def test_a_timestamp_is_reported_in_utc(guard: Guard, sidecar: CountingSidecar) -> None:
    moment = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    guard.report(CUSTOMER, FEATURE, timestamp=moment)
    (report,) = sidecar.reports
    assert report.timestamp.ToDatetime(tzinfo=UTC) == moment


def test_a_function_that_fails_afterwards_drops_its_usage_and_says_so(
    guard: Guard, sidecar: CountingSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    def value(result: Any) -> float:
        return float(result["missing"])

    scope = RequestScope(subject=CUSTOMER, subject_is_known=True)
    guard.admit((meter_spec(FEATURE, value=value),), scope)
    scope.result = {}
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        guard.settle(scope, 200)
    assert "Usage was lost: feature feature-1, customer 'customer-1'" in caplog.text
    assert "KeyError('missing')" in caplog.text
    assert sidecar.total() == 0
    assert guard.counts["dropped"] == 1


def test_a_when_that_fails_drops_its_usage_and_no_other(
    guard: Guard, sidecar: CountingSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    def when(status: int) -> bool:
        raise LookupError(status)

    scope = RequestScope(subject=CUSTOMER, subject_is_known=True)
    specs = (meter_spec(FEATURE, when=when), meter_spec(FEATURE, value=2))
    guard.admit(specs, scope)
    guard.settle(scope, 200)
    assert "Usage was lost: feature feature-1" in caplog.text
    assert "LookupError(200)" in caplog.text
    assert sidecar.total() == 2
    assert guard.counts["dropped"] == 1


@pytest.mark.parametrize(
    ("mapping", "cure"),
    [
        ({"HOLDS": "http://redis"}, 'use "memory" or the URL of a Redis'),
        ({"HOLDS": 6379}, 'use "memory" or the URL of a Redis'),
        ({"HOLDS_ON_UNAVAILABLE": "allow"}, 'use "memory" or "deny"'),
        ({"HOLDS_WAIT": -1}, "0 or more"),
        ({"HOLDS_LEASE": 0.5}, "from 1 to 86400"),
        ({"USAGE_SEEN_WITHIN": 0}, "from 1 to 86400"),
        ({"OUTBOX": ""}, "use the path of a file"),
        ({"OUTBOX": 7}, "use the path of a file"),
        ({"OUTBOX_SYNCHRONOUS": "off"}, 'use "full" or "normal"'),
        ({"OUTBOX_WORKER": "yes"}, "use True or False"),
        ({"ON_AMBIGUOUS": "retry"}, 'use "reconcile" or "park"'),
        ({"QUEUE_SIZE": 0}, "1 or more"),
        ({"ON_QUEUE_FULL": "block"}, 'use "wait" or "drop"'),
        ({"DRAIN_TIMEOUT": "long"}, "use a number of seconds"),
        ({"REDIS_PREFIX": ""}, "use a non-empty string"),
        ({"HOOKS": {"lost": print}}, "'lost' is not an outcome"),
        ({"HOOKS": {"parked": "billing"}}, "use the full dotted path"),
        ({"HOOKS": {"parked": None}}, "name a function"),
        ({"HOOKS": print}, "use a mapping"),
        ({"RATE_LIMIT_HEADERS": "draft"}, 'use "ietf" or "x-ratelimit"'),
        ({"RATE_LIMIT_HEADERS": {"left": "X-Left"}}, "'left' is not told"),
        ({"RATE_LIMIT_HEADERS": {"limit": "X Left"}}, "give the name of a header"),
    ],
)
def test_a_wrong_setting_is_one_error_with_its_cure(
    mapping: dict[str, Any], cure: str
) -> None:
    (key,) = mapping
    with pytest.raises(ConfigurationError) as found:
        Settings.from_mapping(mapping)
    assert f'STIGG_GUARD["{key}"]' in str(found.value)
    assert cure in str(found.value)


def test_settings_of_metering_come_from_the_environment_too() -> None:
    settings = Settings.from_env(
        {
            "STIGG_GUARD_OUTBOX_WORKER": "false",
            "STIGG_GUARD_HOLDS_LEASE": "10",
            "STIGG_GUARD_RATE_LIMIT_HEADERS": '{"limit": "X-Quota"}',
            "STIGG_GUARD_HOOKS": '{"parked": "builtins.print"}',
        }
    )
    assert settings.outbox_worker is False
    assert settings.holds_lease == 10
    assert settings.rate_limit_headers == {"limit": "X-Quota"}
    assert settings.hooks["parked"] == (print,)


@pytest.mark.parametrize("path", ["/nowhere/usage.db", "/proc/usage.db"])
def test_an_outbox_that_cannot_be_written_is_told_before_the_first_view_runs(
    sidecar: CountingSidecar, path: str
) -> None:
    guard = Guard(target=sidecar.target, timeout=5, outbox=path, drain_timeout=0)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=path):
            guard.metered(CUSTOMER, FEATURE).__enter__()
    assert not sidecar.calls
    guard.close()


async def test_it_is_told_so_from_async_code_too(sidecar: CountingSidecar) -> None:
    guard = AsyncGuard(target=sidecar.target, outbox="/nowhere/usage.db")
    with pytest.raises(ConfigurationError, match="/nowhere"):
        await guard.metered(CUSTOMER, FEATURE).__aenter__()
    await guard.aclose()


def test_a_record_of_a_newer_form_says_what_to_do() -> None:
    record = Measurement(subject=CUSTOMER, feature_id=FEATURE).as_record()
    assert Measurement.from_record(record).as_record() == record
    with pytest.raises(ValueError, match="update it"):
        Measurement.from_record(record | {"v": 2})
    with pytest.raises(ValueError, match="no stored measurement"):
        Measurement.from_record({"v": 1})
