"""The panel of django-debug-toolbar: questions, decisions and usage of one request.

Its words are made here and kept by the toolbar, for its history; what is recorded is in
`recording`. Add `"stigg_guard_django.panels.StiggGuardPanel"` to DEBUG_TOOLBAR_PANELS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest

from stigg_guard import Decision, Measurement, Subject
from stigg_guard.commands.amounts import described, said_by, subject_in_words
from stigg_guard.commands.words import counted, units
from stigg_guard.decision import Answer, NoAnswer
from stigg_guard.requirement import Question
from stigg_guard.specs import need_spec
from stigg_guard.wording import words_of
from stigg_guard_django.apps import project_guards
from stigg_guard_django.recording import CALLS, Call, install
from stigg_guard_django.visit import Visit, leave, visit_of

if TYPE_CHECKING:

    class Panel:
        """What is used of the toolbar's own class, which has no types."""

        def __init__(self, toolbar: Any, get_response: Any) -> None:
            self.get_response = get_response

        def get_stats(self) -> dict[str, Any]: ...

        def record_stats(self, stats: dict[str, Any]) -> None: ...

else:
    from debug_toolbar.panels import Panel


class StiggGuardPanel(Panel):
    """Shows what the guard asked, decided and reported; changes nothing."""

    title = "Stigg guard"
    template = "stigg_guard/panel.html"
    is_async = True

    def __init__(self, toolbar: Any, get_response: Any) -> None:
        super().__init__(toolbar, get_response)
        self._calls: list[Call] = []
        self._visit: Visit | None = None

    @classmethod
    def ready(cls) -> None:
        """Have calls to the sidecar recorded from now on."""
        install()

    @property
    def nav_subtitle(self) -> str:
        """How much was asked, and whether the request was denied."""
        stats = self.get_stats()
        asked = f"{counted(len(stats['questions']), 'question')} in {stats['time']}"
        return f"{asked}, denied" if stats["is_denied"] else asked

    def enable_instrumentation(self) -> None:
        """Record the calls of this request."""
        CALLS.set(self._calls)

    def disable_instrumentation(self) -> None:
        """Record no more."""
        CALLS.set(None)

    def process_request(self, request: HttpRequest) -> Any:
        """Keep what the guard will know of the request."""
        self._visit = visit_of(request)
        return self.get_response(request)

    def generate_stats(self, request: HttpRequest, response: Any) -> None:
        """Put everything into words, and let go of the request."""
        visit, self._visit = self._visit, None
        assert visit is not None
        if not visit.streams:
            leave(request)
        asked = [call for call in self._calls if call.method != "report"]
        self.record_stats(
            {
                "questions": [_question(call) for call in asked],
                "decisions": [*map(_decision, visit.decisions)],
                "usage": [*_usage(visit.measurements, self._calls)],
                "time": _ms(sum(call.seconds for call in asked)),
                "is_denied": not all(one.allowed for one in visit.decisions),
            }
        )


def _question(call: Call) -> dict[str, str]:
    subject: Subject = call.said[0]
    asked = _asked(call.said[1]) if call.method == "ask" else "all entitlements"
    return {
        "customer": subject_in_words(subject),
        "asked": asked,
        "answer": _answer(call.reply),
        "time": _ms(call.seconds),
    }


def _asked(question: Question) -> str:
    name = question.feature_id or f"credits {question.currency_id}"
    details = [] if question.usage is None else [f"usage {units(question.usage)}"]
    if question.values:
        details.append(f"values {', '.join(question.values)}")
    return f"{name} ({', '.join(details)})" if details else name


def _answer(reply: Any) -> str:
    if isinstance(reply, NoAnswer):
        return f"none: {reply.cause}"
    if not isinstance(reply, Answer):
        return counted(len(reply.by_id), "entitlement")
    if reply.has_access:
        return f"yes: {described(reply.entitlement)}"
    had = f": {described(reply.entitlement)}" if reply.entitlement else ""
    return f"no, {reply.reason}{had}"


def _decision(decision: Decision) -> dict[str, str]:
    status = ""
    if not decision.allowed:
        status = str(project_guards().sync.denials.denial(decision).status)
    return {
        "needs": words_of(need_spec(replace(decision.requirement, metering=None))),
        "outcome": _outcome(decision),
        "reason": decision.reason or "",
        "status": status,
        "said_by": said_by(decision.source),
    }


def _outcome(decision: Decision) -> str:
    if decision.allowed:
        return "allowed"
    return "denied, but let through in shadow" if decision.is_shadow else "denied"


def _usage(
    measurements: list[Measurement], calls: list[Call]
) -> Iterator[dict[str, str]]:
    """What was used, with what became of it while the request lasted."""
    reports = {
        measurement.key: call
        for call in calls
        if call.method == "report"
        for measurement in call.said[0]
    }
    for measurement in measurements:
        yield {
            "customer": subject_in_words(measurement.subject),
            "name": measurement.name,
            "value": _value(measurement),
            "became": _fate(reports.get(measurement.key)),
        }


def _value(measurement: Measurement) -> str:
    if measurement.update == "set":
        return f"= {units(measurement.value)}"
    return f"{measurement.value:+,.15g}"


def _fate(report: Call | None) -> str:
    if report is None:
        return "handed over, to be reported later"
    if isinstance(report.reply, NoAnswer):
        return f"not acknowledged: {report.reply.cause}"
    return f"acknowledged in {_ms(report.seconds)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.1f} ms"
