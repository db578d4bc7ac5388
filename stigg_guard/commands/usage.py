"""`usage`: what a customer has used of a feature, and reports of more of it.

Usage that waits to be delivered is shown by `outbox`.
"""

from __future__ import annotations

import json
from typing import Final

import click

from stigg_guard.commands.amounts import (
    described,
    entitlement_as_json,
    reset,
    subject_as_json,
    subject_in_words,
)
from stigg_guard.commands.failure import Command, Failure, Undone, confirm
from stigg_guard.commands.identity import no_verdict, of_customer, subject_of
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import printable, units
from stigg_guard.decision import Entitlement
from stigg_guard.guard import Guard
from stigg_guard.metering.conversation import Fate
from stigg_guard.requirement import Update, feature
from stigg_guard.steps import OutcomeName
from stigg_guard.subject import Subject


@click.command("usage", cls=Command)
@of_customer
@click.argument("feature_id", metavar="FEATURE")
@click.option("--report", type=float, metavar="N", help="Report N more units.")
@click.option("--set", "total", type=float, metavar="N", help="Report a new total.")
@click.option("--yes", is_flag=True, help="Report without asking first.")
@click.option("--json", "is_json", is_flag=True, help="One JSON document.")
@pass_source
def usage(
    source: Source,
    *,
    customer: str,
    resource: str | None,
    feature_id: str,
    report: float | None,
    total: float | None,
    yes: bool,
    is_json: bool,
) -> None:
    """Show what CUSTOMER used of FEATURE, or report usage of it.

    N below 0 gives units back. Whether the customer may is not asked: what is reported
    was used. The exit status is 1 when it was neither acknowledged nor stored, and 3
    when the sidecar gave no verdict.
    """
    if report is not None and total is not None:
        raise Failure("--report and --set were given; use one of them.")
    subject = subject_of(customer, resource)
    if report is not None:
        _report(source, subject, feature_id, report, "delta", yes=yes)
    elif total is not None:
        _report(source, subject, feature_id, total, "set", yes=yes)
    else:
        _show(source, subject, feature_id, is_json=is_json)


def _show(source: Source, subject: Subject, feature_id: str, *, is_json: bool) -> None:
    guard = source.asking()
    entitlement = _entitlement(source, guard, subject, feature_id)
    if is_json:
        told = {**subject_as_json(subject), "feature_id": feature_id}
        click.echo(json.dumps(told | entitlement_as_json(entitlement)))
        return
    used, limit = entitlement.current_usage or 0, entitlement.usage_limit
    is_open = entitlement.is_unlimited or limit is None
    left = "unlimited" if limit is None or is_open else units(max(0.0, limit - used))
    soft = ", soft" if entitlement.has_soft_limit else ""
    click.echo(f"Customer:  {printable(subject_in_words(subject))}")
    click.echo(f"Feature:   {printable(feature_id)}")
    click.echo(f"Used:      {units(used)}")
    click.echo(f"Limit:     {'none' if limit is None else units(limit)}{soft}")
    click.echo(f"Left:      {left}")
    click.echo(f"Resets:    {reset(entitlement) or 'never'}")


def _entitlement(
    source: Source, guard: Guard, subject: Subject, feature_id: str
) -> Entitlement:
    try:
        need = feature(feature_id)
    except ValueError as error:
        raise Failure(str(error)) from error
    decision = guard.check(subject, need)
    if decision.source in ("policy", "fallback", "last_known"):
        raise no_verdict(source, guard, subject, need.question)
    entitlement = decision.entitlement
    if entitlement is None:
        raise Undone(
            f"{subject_in_words(subject)} has no {feature_id}: {decision.reason}."
        )
    if entitlement.kind not in ("metered", "credit"):
        raise Failure(
            f"{feature_id} is not metered: {subject_in_words(subject)} has it as"
            f" {described(entitlement)}."
        )
    return entitlement


def _report(
    source: Source,
    subject: Subject,
    feature_id: str,
    value: float,
    update: Update,
    *,
    yes: bool,
) -> None:
    guard = source.reporting()
    what = f"{units(value)} as the total" if update == "set" else f"{value:+,.15g}"
    told = f"{what} of {feature_id} for {subject_in_words(subject)}"
    confirm(f"Report {printable(told)}?", yes=yes)
    causes: list[str] = []
    for outcome in _TROUBLE:
        guard.on(outcome, lambda happening: causes.append(happening.cause))
    try:
        fate = guard.report(subject, feature_id, value, update=update)
    except ValueError as error:
        raise Failure(str(error)) from error
    if not guard.outbox.is_durable and fate in _TROUBLE:
        guard.close()  # tries again, for DRAIN_TIMEOUT
        fate = "acknowledged" if guard.counts.get("delivered") else "dropped"
    _tell(fate, told, causes[-1] if causes else "")


_TROUBLE: Final[tuple[OutcomeName, ...]] = ("stored", "parked", "dropped")


def _tell(fate: Fate, told: str, cause: str) -> None:
    if fate == "acknowledged":
        click.echo(f"Acknowledged: {printable(told)}.")
    elif fate == "stored":
        click.echo(f"Stored in the outbox, to be delivered: {printable(told)}.")
    elif fate == "parked":
        raise Undone(
            f"Parked in the outbox until a person decides: {told}: {cause}; see"
            " `outbox list --state parked`."
        )
    else:
        raise Undone(
            f"The sidecar did not acknowledge it, and it was not kept: {told}: {cause}"
        )
