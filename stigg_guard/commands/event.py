"""`event`: one raw event, straight to the sidecar.

Calculated usage is reported with `report`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from sidecar_client import Event, ReportEventsRequest
from stigg_guard.commands.amounts import subject_as_json, subject_in_words
from stigg_guard.commands.dimensions import as_time, as_typed, of_report
from stigg_guard.commands.failure import Command, Failure
from stigg_guard.commands.identity import of_customer, subject_of
from stigg_guard.commands.sending import error_as_json, sent
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import printable
from stigg_guard.errors import SidecarError
from stigg_guard.metering.measurement import Measurement, new_key
from stigg_guard.wire import event_message


@click.command("event", cls=Command)
@of_customer
@click.argument("name")
@of_report
@click.option(
    "--idempotency-key",
    "key",
    metavar="KEY",
    help="The same event again has the same key and --at. [default: a new one]",
)
@click.option("--json", "is_json", is_flag=True, help="One JSON document.")
@pass_source
def event(
    source: Source,
    *,
    customer: str,
    resource: str | None,
    name: str,
    typed_dimensions: Sequence[str],
    typed_moment: str | None,
    key: str | None,
    is_json: bool,
) -> None:
    """Report that the event NAME happened to CUSTOMER; meters of features count it.

    The exit status is 0 when the sidecar acknowledged it, 1 when it refused it, and 3
    when it did not answer.
    """
    subject = subject_of(customer, resource)
    moment = as_time(typed_moment)
    for what, text in (("NAME", name), ("--idempotency-key", key)):
        if text is not None and not text.strip():
            raise Failure(f'{what} is "{text}"; give a text that is not empty.')
    measurement = Measurement(
        subject=subject,
        event=name,
        dimensions=tuple(as_typed(typed_dimensions).items()),
        key=new_key() if key is None else key,
    )
    client = source.asking().sidecar.client
    sent(
        lambda: client.report_events(
            ReportEventsRequest(events=[_message(measurement, moment)])
        ),
        source,
        told=(lambda error: _json(measurement, moment, error)) if is_json else None,
    )
    if is_json:
        click.echo(_json(measurement, moment))
        return
    for line in _lines(measurement, moment):
        click.echo(line)


def _message(measurement: Measurement, moment: datetime | None) -> Event:
    """The event at the time that was typed, or at the sidecar's own."""
    message = event_message(measurement)
    message.ClearField("timestamp")
    if moment is not None:
        message.timestamp.FromDatetime(moment)
    return message


def _lines(measurement: Measurement, moment: datetime | None) -> Iterator[str]:
    yield click.style("acknowledged", fg="green", bold=True)
    yield ""
    yield f"Customer:    {printable(subject_in_words(measurement.subject))}"
    yield f"Event:       {printable(measurement.name)}"
    for name, value in measurement.dimensions:
        typed = json.dumps(value, ensure_ascii=False)
        yield f"Dimension:   {printable(f'{name} = {typed}')}"
    yield f"Key:         {printable(measurement.key)}"
    yield f"Time:        {moment.isoformat() if moment else 'of the sidecar'}"


def _json(
    measurement: Measurement,
    moment: datetime | None,
    error: SidecarError | None = None,
) -> str:
    told: dict[str, object] = {
        "acknowledged": error is None,
        **subject_as_json(measurement.subject),
        "event_name": measurement.event,
        "idempotency_key": measurement.key,
        "dimensions": dict(measurement.dimensions),
        "timestamp": moment and moment.isoformat(),
    }
    return json.dumps({**told, "error": error and error_as_json(error)})
