"""What is logged of an outage, and of questions that the sidecar refuses."""

from __future__ import annotations

import logging
import time

import pytest

from stigg_guard import outage
from stigg_guard.decision import NoAnswer
from stigg_guard.outage import Outage


def test_refusals_are_logged_once_in_a_while_however_many_ids_are_sent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    state = Outage()
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        for number in range(500):
            state.unanswered(NoAnswer(cause=f"id {number}", refused=True))
        assert len(caplog.records) == 1
        now[0] += outage.SECONDS_BETWEEN_REFUSALS
        state.unanswered(NoAnswer(cause="a real fault", refused=True))
    assert len(caplog.records) == 2
    assert "a real fault" in caplog.text
    assert "499 more" in caplog.text


def test_long_cause_is_cut_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        Outage().unanswered(NoAnswer(cause="c" * 1_000_000, refused=True))
    assert len(caplog.text) < 2000
