"""The conversation about all entitlements of a subject: ask, remember, fall back.

What comes of it is an `Entitlements`; questions about one need are `flow`'s.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from stigg_guard.decision import Answers, NoAnswer
from stigg_guard.entitlements import NO_CUSTOMER, OFF, Entitlements, refused
from stigg_guard.flow import request_subject_flow
from stigg_guard.steps import AskAll, Ground, RequestScope, Step
from stigg_guard.subject import Subject


def entitlements_flow(
    subject: Subject, ground: Ground
) -> Generator[Step, Any, Entitlements]:
    """One question, always one answer: without a verdict, one that stands in.

    A guard that is switched off asks nothing, and lets everybody have everything.
    """
    if ground.bypasses():
        return replace(OFF, subject=subject)
    epoch = ground.epoch
    reply: Answers | NoAnswer = yield AskAll(subject)
    if isinstance(reply, Answers) and reply.is_verdict:
        found = Entitlements.of(subject, reply)
        ground.keep_entitlements(found, epoch)
        return found
    if isinstance(reply, Answers):
        reply = NoAnswer(cause="the sidecar had neither data nor a fallback")
    ground.unanswered(reply)
    if reply.refused:
        return refused(subject)
    known = ground.last_entitlements(subject)
    return ground.unknown_entitlements(subject) if known is None else known


def request_entitlements_flow(
    scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Entitlements]:
    """Those of a request's customer: asked once, and again after usage was reported."""
    scope.is_personal = True
    subject = yield from request_subject_flow(scope, ground)
    if subject is None:
        return OFF if ground.bypasses() else NO_CUSTOMER
    reports = ground.reports_of(subject)
    if scope.entitlements is not None:
        reported, known = scope.entitlements
        if reported == reports and known.subject == subject:
            return known
    found = yield from entitlements_flow(subject, ground)
    scope.entitlements = reports, found
    return found
