"""Who a question is about, as it is typed: a customer, and one of its resources.

What is asked about them is the commands'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stigg_guard.commands.failure import Alarm, Failure
from stigg_guard.commands.source import Source
from stigg_guard.decision import NoAnswer
from stigg_guard.guard import Guard
from stigg_guard.requirement import Question
from stigg_guard.subject import Subject


def of_customer(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the argument CUSTOMER and the option --resource."""
    option = click.option("--resource", metavar="ID", help="One of its resources.")
    return click.argument("customer")(option(function))


def subject_of(customer: str, resource: str | None) -> Subject:
    """The subject that is meant; raises `Failure` for ids that are none."""
    try:
        return Subject(customer, resource)
    except (ValueError, TypeError) as error:
        raise Failure(str(error)) from error


def no_verdict(
    source: Source, guard: Guard, subject: Subject, question: Question
) -> Alarm:
    """Why the sidecar gave no verdict, as the end of a command."""
    found: Any = guard.sidecar.ask(subject, question)
    cause = found.cause if isinstance(found, NoAnswer) else "it had no data"
    return Alarm(f"The sidecar gave no verdict: {cause}.{source.hint}")


def refusal(guard: Guard, subject: Subject, question: Question) -> Failure | None:
    """What the sidecar finds fault with in a question, if it does."""
    found: Any = guard.sidecar.ask(subject, question)
    if isinstance(found, NoAnswer) and found.refused:
        return Failure(f"The sidecar refused the question: {found.cause}.")
    return None
