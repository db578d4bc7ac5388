"""A machine of random views, failures, outages and restarts, beside a model of them.

What it asserts are the two promises: no unit is granted over the limit, and once all is
delivered the sidecar counts what succeeded views used.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from stigg_guard import AccessDenied, Guard, Requirement, Subject, Usage
from stigg_guard.decision import Answer
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.row import PutOff
from tests.counting_sidecar import CountingSidecar, Fault, month

CUSTOMER = Subject("customer-1")
FEATURE = "feature-1"
LIMIT = 6.0

FAULTS: Any = st.sampled_from([None, None, "before", "after"])


@dataclass(eq=False)
class View:
    """A view at work: its block, what it may use, and the process it runs in."""

    block: AbstractContextManager[Usage]
    usage: Usage
    units: float
    number: int
    period: int
    life: int


class Views(RuleBasedStateMachine):
    """Changes of one customer's usage; in doubt they are reconciled."""

    on_ambiguous: ClassVar[str] = "reconcile"
    units: ClassVar[Any] = st.just(1)
    restarts: ClassVar[bool] = True

    views: Bundle[View] = Bundle("views")

    @initialize(lag=st.sampled_from([0.0, 0.5, 10.0]))
    def begin_with(self, lag: float) -> None:
        self.now = 1_000.0
        self.folder = tempfile.TemporaryDirectory()
        self.sidecar = CountingSidecar(limit=LIMIT, lag=lag, clock=lambda: self.now)
        self.sidecar.period = month(1)
        self.sidecar.start()
        self.life = 0
        self.period = 1
        # Our clock and the sidecar's agree on the period.
        self.clock = patch(
            "stigg_guard.metering.promise.now_utc",
            lambda: month(self.period) + timedelta(hours=1),
        )
        self.clock.start()
        self.is_heard_of = False
        self.number = 0
        self.has_restarted = False
        self.open: dict[View, float] = {}
        self.used: dict[int, dict[int, float]] = {1: {}}
        self.guard = self.new_guard()

    def new_guard(self) -> Guard:
        guard = Guard(
            target=self.sidecar.target,
            timeout=5,
            write_timeout=5,
            holds_wait=0,
            on_unavailable="deny",
            outbox=str(Path(self.folder.name) / "outbox.db"),
            outbox_worker=False,
            on_ambiguous=self.on_ambiguous,
            drain_timeout=0,
        )
        guard.stores.memory = MemoryHolds(clock=lambda: self.now)
        return guard

    @rule(target=views, data=st.data())
    def begin(self, data: st.DataObject) -> Any:
        units = data.draw(self.units)
        self.number += 1
        block = self.guard.metered(
            CUSTOMER, FEATURE, value=units, dimensions={"n": self.number}
        )
        try:
            usage = block.__enter__()
        except AccessDenied:
            return multiple()  # pyright: ignore[reportUnknownVariableType]
        view = View(block, usage, units, self.number, self.period, self.life)
        self.open[view] = units
        self.is_heard_of = self.is_heard_of or self.sidecar.is_running
        return view

    @rule(view=consumes(views), fault=FAULTS)
    def succeed(self, view: View, fault: Fault | None) -> None:
        if view not in self.open:
            return  # its process died
        if fault is not None:
            self.sidecar.faults.append(fault)
        view.block.__exit__(None, None, None)
        self.sidecar.faults.clear()
        del self.open[view]
        self.used[view.period][view.number] = view.units

    @rule(view=consumes(views))
    def use_nothing(self, view: View) -> None:
        if view not in self.open:
            return
        view.usage.value = 0
        view.block.__exit__(None, None, None)
        del self.open[view]

    @rule(view=consumes(views))
    def fail(self, view: View) -> None:
        if view not in self.open:
            return
        error = ZeroDivisionError()
        view.block.__exit__(ZeroDivisionError, error, None)
        del self.open[view]

    @rule()
    def stop_the_sidecar(self) -> None:
        self.sidecar.stop()
        self.wait_until_all_know(is_there=False)

    @rule()
    def start_the_sidecar(self) -> None:
        if not self.sidecar.is_running:
            self.sidecar.start()
            self.wait_until_all_know(is_there=True)

    def wait_until_all_know(self, *, is_there: bool) -> None:
        """Until every connection knows, what comes next may go either way."""
        guard: Any = self.guard
        question = Requirement(feature_id=FEATURE).question
        give_up = time.monotonic() + 20
        for sidecar in (guard.sidecar, guard._core._reporter):
            while sidecar is not None and is_there is not isinstance(
                sidecar.ask(CUSTOMER, question), Answer
            ):
                assert time.monotonic() < give_up
                time.sleep(0.01)

    @rule(seconds=st.sampled_from([0.1, 1, 11, 61, 4_000]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin_a_period(self) -> None:
        is_known = self.is_heard_of and not self.open
        if self.period < 9 and is_known and self.sidecar.is_running:
            self.is_heard_of = False
            self.period += 1
            self.used[self.period] = {}
            self.sidecar.period = month(self.period)

    @rule(fault=FAULTS)
    def deliver(self, fault: Fault | None) -> None:
        if fault is not None:
            self.sidecar.faults.append(fault)
        for _ in range(3):
            self.step()
        self.sidecar.faults.clear()

    @rule()
    def restart(self) -> None:
        if not self.restarts:
            return
        self.has_restarted = True
        self.open.clear()
        self.life += 1
        self.guard.close()
        # What lags is unknown to a process that begins anew with holds in memory.
        self.now += self.sidecar.lag
        self.guard = self.new_guard()

    @invariant()
    def no_unit_is_granted_over_the_limit(self) -> None:
        for period, used in self.used.items():
            at_work = sum(v.units for v in self.open if v.period == period)
            assert sum(used.values()) + at_work <= LIMIT

    def step(self) -> int:
        worker = self.guard.stores.own_worker()
        worker.pause = _go_on
        at_once: Any = _AtOnce(self.guard.outbox)
        worker.outbox = at_once
        return worker.step()

    def teardown(self) -> None:
        if not hasattr(self, "guard"):
            return
        try:
            self.recover()
            for period, used in self.used.items():
                found = self.sidecar.total(period=month(period))
                assert found == sum(used.values()), (period, found, used)
        finally:
            self.clock.stop()
            self.guard.close()
            self.sidecar.stop()
            self.folder.cleanup()

    def recover(self) -> None:
        for view in list(self.open):
            self.fail_at_the_end(view)
        self.start_the_sidecar()
        self.sidecar.faults.clear()
        while self.step():
            pass
        parked = self.guard.outbox.rows("parked")
        self.judge(parked)
        while self.step():
            pass
        assert not [r for r in self.guard.outbox.rows() if r.state != "delivered"]

    def fail_at_the_end(self, view: View) -> None:
        view.block.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        del self.open[view]

    def judge(self, parked: list[Any]) -> None:
        """The person: looks at what the sidecar has, and decides."""
        if not self.has_restarted and self.on_ambiguous == "reconcile":
            old = [row for row in parked if "period is over" not in (row.error or "")]
            assert not old, [row.error for row in old]
        arrived = {
            int(report.dimensions["n"].number_value) for report in self.sidecar.reports
        }
        for row in parked:
            (number,) = (value for _, value in row.measurement.dimensions)
            if number in arrived:
                self.guard.outbox.discard([row.id])
            else:
                self.guard.outbox.retry([row.id])


def _go_on(_seconds: float) -> None:
    """Pause for no time."""


class _AtOnce:
    """An outbox whose rows are due as soon as they are put off."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def finish(self, worker: str, results: Any) -> None:
        now = [replace(r, due_at=0) if isinstance(r, PutOff) else r for r in results]
        self._outbox.finish(worker, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)


class ParkedViews(Views):
    """In doubt, a person decides; views use different numbers of units."""

    on_ambiguous = "park"
    units = st.integers(1, 3)


def run(machine: type[Views], *, examples: int) -> None:
    logging.getLogger("stigg_guard").setLevel(logging.CRITICAL)
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                # A change meets the same examples; `make test-crash` looks for more.
                derandomize="EXPLORE" not in os.environ,
                suppress_health_check=[
                    HealthCheck.too_slow,
                    HealthCheck.data_too_large,
                ],
            ),
        )
    finally:
        logging.getLogger("stigg_guard").setLevel(logging.NOTSET)


def test_nothing_is_exceeded_lost_or_doubled_when_doubts_are_reconciled() -> None:
    run(Views, examples=40)


def test_nothing_is_exceeded_lost_or_doubled_when_a_person_decides() -> None:
    run(ParkedViews, examples=40)
