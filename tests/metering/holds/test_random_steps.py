"""Random steps: the ledger against the contract said plainly, and Redis against it."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stigg_guard.metering.holds.base import Op, Peek
from stigg_guard.metering.holds.ledger import Ledger
from stigg_guard.metering.holds.redis import RedisHolds
from tests.metering.holds.naive import NaiveHolds
from tests.metering.holds.random_steps import ONE_CUSTOMERS, PLACES, steps
from tests.metering.holds.servers import command
from tests.redis_server import RedisServer

LEASES = st.sampled_from([2.0, 10.0, 30.0])
YOUTHS = st.sampled_from([0.0, 8.0, 60.0])


class LedgerAndModel(RuleBasedStateMachine):
    """The same steps at the same times on both."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.model = Ledger(), NaiveHolds()
        self.now = 1_000_000.0

    @rule(op=steps(LEASES, YOUTHS))
    def step(self, op: Op) -> None:
        expected = self.model.perform(op, self.now)
        assert self.ledger.perform(op, self.now) == expected

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 5.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([0.5, 10.0]))
    def step_the_clock_back(self, seconds: float) -> None:
        # What ran out has run out: a step forward would be read differently.
        for place in PLACES:
            self.ledger.perform(Peek(place=place), self.now)
            self.model.perform(Peek(place=place), self.now)
        self.now -= seconds

    @invariant()
    def they_show_the_same(self) -> None:
        for place in PLACES:
            peek = Peek(place=place)
            shown = self.ledger.perform(peek, self.now)
            assert shown == self.model.perform(peek, self.now)


TestLedgerAndModel = LedgerAndModel.TestCase
TestLedgerAndModel.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    taken=st.lists(
        steps(st.just(1000.0), st.sampled_from([0.0, 1000.0]), ONE_CUSTOMERS),
        min_size=5,
        max_size=40,
    )
)
def test_redis_does_what_the_ledger_does(server: RedisServer, taken: list[Op]) -> None:
    command(server.port, "FLUSHALL")
    holds, ledger = RedisHolds(server.url), Ledger()
    for op in taken:
        assert holds.perform(op) == ledger.perform(op, 1_000_000.0), op
        for place in ONE_CUSTOMERS:
            peek = Peek(place=place)
            assert holds.perform(peek) == ledger.perform(peek, 1_000_000.0), op
    holds.close()
