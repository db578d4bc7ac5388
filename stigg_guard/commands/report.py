"""`report`: calculated usage, straight to the sidecar, and the total it answers.

`usage` reports as an application does, through its outbox; raw events are `event`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from sidecar_client import ReportUsageRequest, ReportUsageResponse
from stigg_guard.commands.amounts import subject_as_json, subject_in_words
from stigg_guard.commands.dimensions import as_time, as_typed, of_report
from stigg_guard.commands.failure import Command, Failure
from stigg_guard.commands.identity import of_customer, subject_of
from stigg_guard.commands.sending import error_as_json, sent
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import printable, units
from stigg_guard.errors import SidecarError
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import check_change, check_units, feature
from stigg_guard.wire import usage_request


class _Value(click.FloatRange):
    """A number, which may begin with a minus; an option that is none is told as one."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return float(value)
        except ValueError:
            if str(value).startswith("--"):
                raise click.NoSuchOption(str(value), ctx=ctx) from None
            self.fail(f"{value!r} is no number; use one such as 1 or -1.", param, ctx)


@click.command("report", cls=Command, context_settings={"ignore_unknown_options": True})
@of_customer
@click.argument("feature_id", metavar="FEATURE")
@click.argument("value", type=_Value())
@click.option("--set", "is_total", is_flag=True, help="VALUE is the new total.")
@of_report
@click.option("--json", "is_json", is_flag=True, help="One JSON document.")
@pass_source
def report(
    source: Source,
    *,
    customer: str,
    resource: str | None,
    feature_id: str,
    value: float,
    is_total: bool,
    typed_dimensions: Sequence[str],
    typed_moment: str | None,
    is_json: bool,
) -> None:
    """Report that CUSTOMER used VALUE more units of FEATURE; below 0 gives units back.

    The exit status is 0 when the sidecar acknowledged it, 1 when it refused it, and 3
    when it did not answer.
    """
    subject = subject_of(customer, resource)
    moment = as_time(typed_moment)
    try:
        measurement = Measurement(
            subject=subject,
            feature_id=feature(feature_id).feature_id,
            value=_checked(value, is_total=is_total),
            update="set" if is_total else "delta",
            dimensions=tuple(as_typed(typed_dimensions).items()),
        )
        request = usage_request(measurement)
    except ValueError as error:
        raise Failure(str(error)) from error
    _stamp(request, moment)
    client = source.asking().sidecar.client
    response = sent(
        lambda: client.report_usage(request),
        source,
        told=(lambda error: _json(measurement, moment, error)) if is_json else None,
    )
    if is_json:
        click.echo(_json(measurement, moment, response))
        return
    for line in _lines(measurement, response):
        click.echo(line)


def _checked(value: float, *, is_total: bool) -> float:
    check = check_units if is_total else check_change
    return check("VALUE", value)


def _stamp(request: ReportUsageRequest, moment: datetime | None) -> None:
    """The time that was typed, or none: the sidecar's clock may be another."""
    request.ClearField("timestamp")
    if moment is not None:
        request.timestamp.FromDatetime(moment)


def _lines(measurement: Measurement, response: ReportUsageResponse) -> Iterator[str]:
    value = measurement.value
    is_total = measurement.update == "set"
    what = f"{units(value)} as the total" if is_total else f"{value:+,.15g}"
    yield click.style("acknowledged", fg="green", bold=True)
    yield ""
    yield f"Customer:  {printable(subject_in_words(measurement.subject))}"
    yield f"Reported:  {what} of {printable(measurement.name)}"
    if response.HasField("current_usage"):
        yield f"Used now:  {units(response.current_usage)}"
    start, end = _period(response)
    if start and end:
        yield f"Period:    {start} to {end}"


def _period(response: ReportUsageResponse) -> tuple[str | None, str | None]:
    return (
        _moment(response, "usage_period_start"),
        _moment(response, "usage_period_end"),
    )


def _moment(response: Any, name: str) -> str | None:
    if not response.HasField(name):
        return None
    try:
        found: datetime = getattr(response, name).ToDatetime(tzinfo=UTC)
    except ValueError:  # beyond what a datetime can say
        return None
    return found.isoformat()


def _json(
    measurement: Measurement,
    moment: datetime | None,
    answer: ReportUsageResponse | SidecarError,
) -> str:
    told: dict[str, object] = {
        "acknowledged": not isinstance(answer, SidecarError),
        **subject_as_json(measurement.subject),
        "feature_id": measurement.feature_id,
        "value": measurement.value,
        "update": measurement.update,
        "dimensions": dict(measurement.dimensions),
        "timestamp": moment and moment.isoformat(),
    }
    if isinstance(answer, SidecarError):
        told |= {**_answered(ReportUsageResponse()), "error": error_as_json(answer)}
    else:
        told |= {**_answered(answer), "error": None}
    return json.dumps(told)


def _answered(response: ReportUsageResponse) -> dict[str, object]:
    start, end = _period(response)
    total = response.current_usage if response.HasField("current_usage") else None
    return {
        "measurement_id": response.measurement_id or None,
        "current_usage": total,
        "usage_period_start": start,
        "usage_period_end": end,
    }
