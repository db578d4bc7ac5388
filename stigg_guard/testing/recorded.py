"""`recorded_usage`: what was reported while a test ran, and assertions that explain.

How it is kept is `recorder`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Dimension, Update
from stigg_guard.testing import stand_ins
from stigg_guard.testing.recorder import Record, Recorder

_UNSAID: Final = object()


class recorded_usage(Recorder):  # reads as what it gives
    """Keeps what is reported inside of it: `with recorded_usage() as recorded:`.

    It changes nothing: usage goes to the overrides, or to the sidecar that the guard
    has. Assertions look at what a sidecar took; what is delivered in the background is
    waited for. What still waits or was lost is shown when they fail.
    """

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was reported, usage and events, in the order of its measurement."""
        found = self.records()
        return tuple(each.measurement for each in found if each.is_reported)

    def total(self, feature_id: str, customer: str | None = None) -> float:
        """The sum of the changes that were reported of a feature."""
        return sum(
            each.value
            for each in self.measurements
            if each.feature_id == feature_id
            and each.update == "delta"
            and customer in (None, each.subject.customer_id)
        )

    def assert_reported(
        self,
        feature_id: str,
        *,
        value: float | None = None,
        customer: str | None = None,
        resource: str | None = None,
        update: Update | None = None,
        dimensions: Mapping[str, Dimension] | None = None,
        times: int | None = None,
    ) -> None:
        """Usage of the feature was reported, with everything that is given here.

        Without `times`, at least once.
        """
        wanted = {
            "value": value,
            "customer": customer,
            "resource": resource,
            "update": update,
        }
        self._check("feature", feature_id, wanted, dimensions, times)

    def assert_event(
        self,
        event: str,
        *,
        customer: str | None = None,
        resource: str | None = None,
        feature: str | None = None,
        value: float | None = None,
        dimensions: Mapping[str, Dimension] | None = None,
        times: int | None = None,
    ) -> None:
        """An event was reported, with everything that is given here.

        Of `dimensions`, those given must be there. Without `times`, at least once.
        """
        wanted = {
            "feature": feature,
            "value": value,
            "customer": customer,
            "resource": resource,
        }
        self._check("event", event, wanted, dimensions, times)

    def assert_nothing_reported(self, name: str | None = None) -> None:
        """Nothing was reported; with the id of a feature or event, nothing of that."""
        found = [
            each
            for each in self.records()
            if each.is_reported
            and name in (None, each.measurement.feature_id, each.measurement.event)
        ]
        if found:
            what = "nothing" if name is None else f'nothing of "{name}"'
            raise AssertionError(f"expected that {what} is reported.{_listed(found)}")

    def _check(
        self,
        kind: str,
        name: str,
        wanted: Mapping[str, object],
        dimensions: Mapping[str, Dimension] | None,
        times: int | None,
    ) -> None:
        given = {key: value for key, value in wanted.items() if value is not None}
        given |= {f"dimension {key!r}": v for key, v in (dimensions or {}).items()}
        records = self.records()
        near = {
            record.measurement.key: _differences(record.measurement, given)
            for record in records
            if _is_of(record.measurement, kind, name)
        }
        count = sum(
            r.is_reported and near.get(r.measurement.key) == [] for r in records
        )
        if count == times or (times is None and count):
            return
        raise AssertionError(
            f"{_said(kind, name, given)} was reported {_times(count)}, not"
            f" {'at least once' if times is None else _times(times)}."
            f"{_listed(records, near)}"
        )

    # Its life

    def enter(self, *, shared: bool = False) -> Self:
        """Record from now on."""
        stand_ins.install()
        return super().enter(shared=shared)

    def leave(self) -> None:
        """Record no more; what was recorded can still be looked at."""
        self.records()
        super().leave()

    def __enter__(self) -> Self:
        return self.enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()


def _is_of(measurement: Measurement, kind: str, name: str) -> bool:
    if kind == "event":
        return measurement.event == name
    return measurement.event is None and measurement.feature_id == name


def _facts(measurement: Measurement) -> dict[str, Any]:
    return {
        "feature": measurement.feature_id,
        "value": measurement.value,
        "customer": measurement.subject.customer_id,
        "resource": measurement.subject.resource_id,
        "update": measurement.update,
        **{f"dimension {key!r}": value for key, value in measurement.dimensions},
    }


def _differences(measurement: Measurement, given: Mapping[str, object]) -> list[str]:
    facts = _facts(measurement)
    return [
        f"{key} is {_shown(facts.get(key, _UNSAID))}, not {value!r}"
        for key, value in given.items()
        if facts.get(key, _UNSAID) != value
    ]


def _shown(value: object) -> str:
    return "not there" if value is _UNSAID else repr(value)


def _said(kind: str, name: str, given: Mapping[str, object]) -> str:
    details = ", ".join(f"{key} {value!r}" for key, value in given.items())
    return f'{kind} "{name}"' + (f" with {details}" if details else "")


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _listed(
    records: tuple[Record, ...] | list[Record],
    near: Mapping[str, list[str]] | None = None,
) -> str:
    """What there is, what is most like what was wanted first."""
    if not records:
        return " Nothing was used at all."
    differences = near or {}

    def far(record: Record) -> int:
        return len(differences.get(record.measurement.key, [""] * 99))

    lines = [
        f"  {_line(each, differences.get(each.measurement.key))}"
        for each in sorted(records, key=far)
    ]
    return "\n".join([" What was used:", *lines])


def _line(record: Record, differences: list[str] | None) -> str:
    used = record.measurement
    facts = {key: value for key, value in _facts(used).items() if value is not None}
    if used.event is not None and used.feature_id is None:
        del facts["value"]
    if used.event is not None or used.update == "delta":
        del facts["update"]
    if used.event is None:
        del facts["feature"]
    kind = "feature" if used.event is None else "event"
    line = f"{_said(kind, used.name, facts)}: {record.outcome}"
    if record.cause and not record.is_reported:
        line += f" ({record.cause})"
    return f"{line}  <- {'; '.join(differences)}" if differences else line
