"""`check`: whether a customer may, and why; the decision that a view would get.

What a customer has altogether is shown by `entitlements`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

import click

from stigg_guard.commands.amounts import (
    decision_as_json,
    described,
    said_by,
    subject_as_json,
    subject_in_words,
)
from stigg_guard.commands.failure import Command, Failure
from stigg_guard.commands.identity import no_verdict, of_customer, refusal, subject_of
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import printable
from stigg_guard.decision import Decision, Reason
from stigg_guard.denial import DenialPolicy
from stigg_guard.requirement import Requirement
from stigg_guard.specs import need_spec
from stigg_guard.subject import Subject
from stigg_guard.wording import words_of


@click.command("check", cls=Command)
@of_customer
@click.argument("feature")
@click.option("--usage", type=float, metavar="N", help="So many units of it.")
@click.option("--value", "single", metavar="V", multiple=True, help="This value, too.")
@click.option("--values", metavar="A,B", multiple=True, help="All of these values.")
@click.option("--at-least", type=float, metavar="N", help="At least this value.")
@click.option("--currency", "is_currency", is_flag=True, help="FEATURE is a currency.")
@click.option("--json", "is_json", is_flag=True, help="One JSON document.")
@pass_source
def check(
    source: Source,
    *,
    customer: str,
    feature: str,
    resource: str | None,
    usage: float | None,
    single: Sequence[str],
    values: Sequence[str],
    at_least: float | None,
    is_currency: bool,
    is_json: bool,
) -> None:
    """Ask whether CUSTOMER may use FEATURE, and show the decision.

    Nothing is held and nothing is reported. The exit status is 0 when allowed, 1 when
    denied, and 3 when the sidecar gave no verdict, whatever stands in for it.
    """
    subject = subject_of(customer, resource)
    wanted = (*single, *(one for text in values for one in text.split(",")))
    need = _need(feature, usage, wanted, at_least, is_currency=is_currency)
    guard = source.asking()
    decision = guard.check(subject, need)
    if decision.reason is Reason.UNKNOWN and (
        wrong := refusal(guard, subject, need.question)
    ):
        raise wrong
    if is_json:
        click.echo(json.dumps(_json(decision, need, subject, guard.denials)))
    else:
        for line in _lines(decision, need, subject, guard.denials):
            click.echo(line)
    if decision.source in _STAND_INS:
        raise no_verdict(source, guard, subject, need.question)
    if not decision.allowed:
        click.get_current_context().exit(1)


_STAND_INS: Final = ("policy", "fallback", "last_known")


def _need(
    name: str,
    usage: float | None,
    values: Sequence[str],
    at_least: float | None,
    *,
    is_currency: bool,
) -> Requirement:
    try:
        return Requirement(
            feature_id=None if is_currency else name,
            currency_id=name if is_currency else None,
            usage=usage,
            values=tuple(values),
            at_least=at_least,
        )
    except ValueError as error:
        raise Failure(str(error)) from error


def _lines(
    decision: Decision, need: Requirement, subject: Subject, denials: DenialPolicy
) -> Iterator[str]:
    if decision.source in _STAND_INS:
        what = "allowed" if decision.allowed else "denied"
        yield f"{click.style('no verdict', fg='yellow', bold=True)}: views are {what}"
    elif decision.allowed:
        yield click.style("allowed", fg="green", bold=True)
    else:
        yield f"{click.style('denied', fg='red', bold=True)}: {decision.reason}"
    yield ""
    yield f"Customer:     {printable(subject_in_words(subject))}"
    yield f"Needs:        {printable(words_of(need_spec(need)))}"
    yield f"Entitlement:  {printable(described(decision.entitlement))}"
    if not decision.allowed:
        denial = denials.denial(decision)
        yield f"Answer:       {denial.status}, {denial.problem['detail']}"
    yield f"Said by:      {said_by(decision.source)}"


def _json(
    decision: Decision, need: Requirement, subject: Subject, denials: DenialPolicy
) -> dict[str, object]:
    told = {
        **subject_as_json(subject),
        "feature_id": need.feature_id,
        "currency_id": need.currency_id,
        "requested_usage": need.usage,
        "requested_values": list(need.values),
        "at_least": need.at_least,
        **decision_as_json(decision),
    }
    if not decision.allowed:
        told["status"] = denials.denial(decision).status
    return told
