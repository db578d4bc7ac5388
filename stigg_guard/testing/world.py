"""The sidecar of a test: questions and reports answered by the overrides that hold.

No I/O happens here. Whom an override holds for is `reach`'s, what it says `values`'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeAlias

from stigg_guard.decision import Answer, Decision, NoAnswer, Reason
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Question
from stigg_guard.subject import Subject
from stigg_guard.testing import values
from stigg_guard.testing.errors import OverrideError
from stigg_guard.testing.override import Override
from stigg_guard.testing.values import Granted, Value, denied

Overrides: TypeAlias = tuple[Override, ...]
"""The innermost last."""


class Found(NamedTuple):
    """The override that speaks of a feature, and what it says."""

    override: Override
    value: Value


def find(overrides: Overrides, name: str, subject: Subject) -> Found | None:
    """The innermost override that speaks of this feature of this subject."""
    for override in reversed(overrides):
        if override.is_about(subject) and name in override.values:
            return Found(override, override.values[name])
    return None


def answer(
    overrides: Overrides, subject: Subject, question: Question
) -> Answer | NoAnswer | None:
    """What the overrides say; None when the real sidecar is to be asked."""
    name = question.feature_id or question.currency_id or ""
    found = find(overrides, name, subject)
    if found is not None:
        _check_kind(found, name, question)
        used = found.override.total(name, subject)
        return found.value.answer(question, used)
    policy = unknown(overrides)
    if policy == "ask":
        return None
    if policy == "fail":
        raise noticed(overrides, _not_overridden(overrides, name, subject))
    return (Granted() if policy == "allow" else denied()).answer(question, 0)


def answers(overrides: Overrides, subject: Subject) -> dict[str, Answer]:
    """What the overrides say of all that they speak of."""
    found: dict[str, Answer] = {}
    for override in reversed(overrides):
        if not override.is_about(subject):
            continue
        for name, value in override.values.items():
            if name not in found:
                found[name] = _plain_answer(Found(override, value), name, subject)
    return found


def _plain_answer(found: Found, name: str, subject: Subject) -> Answer:
    is_currency = isinstance(found.value, values.credits)
    question = Question(
        feature_id=None if is_currency else name,
        currency_id=name if is_currency else None,
        usage=None,
        values=(),
    )
    return found.value.answer(question, found.override.total(name, subject))


class Listed(dict[str, Answer]):
    """The answers of a list; to look for what is not overridden is as to ask for it."""

    def __init__(
        self, overrides: Overrides, subject: Subject, found: Mapping[str, Answer]
    ) -> None:
        super().__init__(found)
        self._overrides = overrides
        self._subject = subject

    def __missing__(self, name: str) -> Answer:
        question = Question(feature_id=name, currency_id=None, usage=None, values=())
        said = answer(self._overrides, self._subject, question)
        if not isinstance(said, Answer):
            raise KeyError(name)
        return said

    def get(self, name: str, default: Any = None) -> Any:
        """The answer; of what is not overridden, what `unknown` says."""
        try:
            return self[name]
        except KeyError:
            return default


def count(overrides: Overrides, measurement: Measurement) -> Acknowledged | None:
    """Take a report note; None when it is the real sidecar's."""
    name = measurement.feature_id
    if name is None:
        return None if unknown(overrides) == "ask" else Acknowledged()
    found = find(overrides, name, measurement.subject)
    if found is not None:
        total = found.override.add(name, measurement)
        return Acknowledged(current_usage=None if measurement.event else total)
    policy = unknown(overrides)
    if policy == "fail":
        noticed(overrides, _not_overridden(overrides, name, measurement.subject))
    return None if policy == "ask" else Acknowledged()


def check_decision(overrides: Overrides, decision: Decision) -> None:
    """Raise for an override that says something else of a feature than the code."""
    subject, need = decision.subject, decision.requirement
    if decision.reason is not Reason.FEATURE_TYPE_MISMATCH or subject is None:
        return
    found = find(overrides, need.name, subject)
    if found is None or isinstance(found.value, denied):
        return
    cure = "True"
    if need.metering is not None or need.usage is not None:
        cure = "metered(limit=6, used=3)"
    elif need.at_least is not None:
        cure = f"a number, such as {need.at_least:g}"
    elif need.values:
        cure = f"enum({', '.join(map(repr, need.values))})"
    raise noticed(overrides, _other_kind(need.name, found, cure))


def unknown(overrides: Overrides) -> str:
    """What the innermost override that says it wants of all other features."""
    policies = (each.unknown for each in reversed(overrides))
    return next((policy for policy in policies if policy is not None), "fail")


def noticed(overrides: Overrides, text: str) -> OverrideError:
    """The error to raise; the innermost override raises it again at its end."""
    overrides[-1].noticed(text)
    return OverrideError(text)


def _check_kind(found: Found, name: str, question: Question) -> None:
    if isinstance(found.value, Granted | denied):
        return
    if (question.currency_id is None) == isinstance(found.value, values.credits):
        cure = "credits(100)" if question.currency_id else "metered(limit=100)"
        raise noticed((found.override,), _other_kind(name, found, cure))


def _other_kind(name: str, found: Found, cure: str) -> str:
    given = "True" if isinstance(found.value, Granted) else repr(found.value)
    return (
        f'"{name}" is overridden with {given}, and the code asks it for something else;'
        f" override it with {cure}."
    )


def _not_overridden(overrides: Overrides, name: str, subject: Subject) -> str:
    whose = f'customer "{subject.customer_id}"'
    if subject.resource_id is not None:
        whose += f' and resource "{subject.resource_id}"'
    close = get_close_matches(name, _names(overrides), n=1)
    hint = f' Did you mean "{close[0]}"?' if close and close[0] != name else ""
    return (
        f'the code asks for "{name}" of {whose}, which is not overridden;'
        f" overridden are {'; '.join(map(str, overrides))}.{hint} Add it, or say what"
        ' holds for all others: unknown="deny", "allow" or "ask" (the real sidecar).'
    )


def _names(overrides: Overrides) -> Iterator[str]:
    for override in overrides:
        yield from override.values
