"""A hundred requests at once, sent to this application as a hundred clients would.

They are sent from a thread of its own, so that a server with one worker can answer
them. What came of them is kept in the database, where every worker can look.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlencode
from uuid import uuid4

from django.db import connection
from django.utils import timezone

from example_project.places import HOST
from example_project.revvenu.models import Burst, User
from example_project.revvenu.room import room
from stigg_guard import Guard

ALL: Final = 100
CREATED: Final = "302"
"""The status of a form that was accepted, as a key of JSON."""
DENIED: Final = "402"
_NO_ANSWER: Final = "none"
_TIMEOUT: Final = 60
_PAUSE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form to be sent: where to, and what speaks for its sender."""

    port: int
    path: str
    cookies: str
    token: str


def start(form: Form, guard: Guard, user: User) -> bool:
    """Send the form a hundred times, soon; False while that is still under way."""
    burst, is_new = Burst.objects.get_or_create(owner=user)
    if not is_new:
        if burst.is_running:
            return False
        burst.started, burst.seconds, burst.statuses = timezone.now(), None, {}
        burst.counted = ""
        burst.save()
    threading.Thread(
        target=_run, args=(burst, form, guard, user), name="burst", daemon=True
    ).start()
    return True


def _run(burst: Burst, form: Form, guard: Guard, user: User) -> None:
    try:
        answers = _Answers()
        began = time.monotonic()
        for number in range(1, ALL + 1):
            threading.Thread(
                target=answers.collect, args=(form, number), daemon=True
            ).start()
        while not answers.are_complete.wait(_PAUSE):
            _note(burst, answers)
        burst.seconds = time.monotonic() - began
        found = room(guard, user.customer_id)
        burst.counted, burst.is_within = found.text, found.is_within
        _note(burst, answers)
    finally:
        connection.close()


def _note(burst: Burst, answers: _Answers) -> None:
    burst.statuses = answers.statuses
    # A demo that began again meanwhile has no burst.
    Burst.objects.filter(pk=burst.pk).update(
        statuses=burst.statuses,
        seconds=burst.seconds,
        counted=burst.counted,
        is_within=burst.is_within,
    )


@dataclass(slots=True)
class _Answers:
    """The answers so far; all senders wait for each other before they send."""

    gate: threading.Barrier = field(default_factory=lambda: threading.Barrier(ALL))
    lock: threading.Lock = field(default_factory=threading.Lock)
    are_complete: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter[str])

    @property
    def statuses(self) -> dict[str, int]:
        with self.lock:
            return dict(self.counts)

    def collect(self, form: Form, number: int) -> None:
        self.gate.wait()
        try:
            status = str(_send(form, number))
        except (OSError, HTTPException):
            status = _NO_ANSWER
        with self.lock:
            self.counts[status] += 1
            if self.counts.total() == ALL:
                self.are_complete.set()


def _send(form: Form, number: int) -> int:
    """Fill in the form and send it; the status of the answer."""
    fields = {
        "csrfmiddlewaretoken": form.token,
        "form_id": uuid4(),
        "name": f"Request {number}",
    }
    headers = {
        "Accept": "text/html",
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": form.cookies,
    }
    client = HTTPConnection(HOST, form.port, timeout=_TIMEOUT)
    try:
        client.request("POST", form.path, urlencode(fields), headers)
        answer = client.getresponse()
        answer.read()
        return answer.status
    finally:
        client.close()
