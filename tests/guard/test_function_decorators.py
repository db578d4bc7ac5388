"""Guarded functions of every nature, against the local sidecar."""

# Options are lambdas here, as users write them; a lambda has no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    AsyncGuard,
    ConfigurationError,
    Guard,
    Reason,
    Subject,
    current_usage,
    feature,
    specs_of,
    subject,
)

CUSTOMER = Subject("customer-demo-01")
"""Has used 3 of 6 templates, and has no editors."""

TEMPLATES = "feature-01-templates"
CAMPAIGNS = "feature-02-campaigns"
ANALYTICS = "feature-04-analytics"
EDITORS = "feature-08-editors"


@pytest.fixture
def guard(sidecar: LocalSidecar) -> Iterator[Guard]:
    guard = Guard(target=sidecar.target, timeout=5, write_timeout=5, holds_wait=0)
    yield guard
    guard.close()


@pytest.fixture
def bound() -> Iterator[Subject]:
    with subject(CUSTOMER) as found:
        yield found


def used(guard: Guard | AsyncGuard, name: str = TEMPLATES) -> float | None:
    """What the sidecar counts now."""
    return guard.sync.entitlements(CUSTOMER)[name].current_usage


class Order(NamedTuple):
    customer_id: str | None
    size: int = 1


# What a function needs


def test_function_runs_for_who_has_the_feature(guard: Guard, bound: Subject) -> None:
    @guard.requires_feature(ANALYTICS)
    def report(kind: str) -> str:
        """Reports."""
        return f"a {kind}"

    assert report("table") == report(kind="table") == "a table"
    assert (report.__name__, report.__doc__) == ("report", "Reports.")
    assert str(inspect.signature(report)) == "(kind: 'str') -> 'str'"
    (spec,) = specs_of(report)
    assert spec.need == feature(ANALYTICS)


def test_denied_function_does_not_run(guard: Guard, bound: Subject) -> None:
    @guard.requires_feature(EDITORS)
    def edit() -> None:
        pytest.fail("ran")

    with pytest.raises(AccessDenied) as denied:
        edit()
    decision = denied.value.decision
    assert decision.reason is Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION
    assert decision.subject == CUSTOMER


def test_any_and_all_of_several_features(guard: Guard, bound: Subject) -> None:
    @guard.requires_any(EDITORS, ANALYTICS)
    def either() -> str:
        return "either"

    @guard.requires_all(feature(TEMPLATES, usage=1), EDITORS)
    def both() -> None:
        pytest.fail("ran")

    assert either() == "either"
    with pytest.raises(AccessDenied):
        both()


async def test_coroutine_stays_one_under_either_guard(
    guard: Guard, bound: Subject
) -> None:
    for one in (guard, guard.aio):

        @one.requires_feature(ANALYTICS)
        async def report() -> str:
            await asyncio.sleep(0)
            return "report"

        assert inspect.iscoroutinefunction(report)
        assert await report() == "report"
    await guard.aio.aclose()


def test_async_guard_guards_a_sync_function(guard: Guard, bound: Subject) -> None:
    @guard.aio.meters_usage(TEMPLATES)
    def create() -> str:
        return "created"

    assert create() == "created"
    assert used(guard) == 4


# Whom it runs for


def test_customer_is_a_function_of_the_parameters(guard: Guard) -> None:
    @guard.requires_feature(ANALYTICS, customer=lambda order: order.customer_id)
    def export(order: Order, *, kind: str = "csv") -> str:
        return kind

    assert export(Order("customer-demo-01")) == "csv"
    with pytest.raises(AccessDenied) as denied:
        export(order=Order("customer-demo-02"))
    assert denied.value.decision.subject == Subject("customer-demo-02")


def test_customer_may_take_defaults_keywords_and_all_arguments(guard: Guard) -> None:
    asked: list[Any] = []

    def customer_of(
        *, kind: str, extra: int, arguments: Any, other: int = 5
    ) -> Subject:
        asked.append((kind, extra, other, dict(arguments)))
        return CUSTOMER

    @guard.requires_feature(ANALYTICS, customer=customer_of)
    def export(*rows: int, kind: str = "csv", **more: int) -> None: ...

    export(1, 2, extra=3)
    assert asked == [("csv", 3, 5, {"rows": (1, 2), "kind": "csv", "extra": 3})]


async def test_async_customer_is_awaited(guard: Guard) -> None:
    async def customer_of(order: Order) -> str | None:
        await asyncio.sleep(0)
        return order.customer_id

    @guard.requires_feature(ANALYTICS, customer=customer_of)
    async def export(order: Order) -> str:
        return "exported"

    assert await export(Order("customer-demo-01")) == "exported"
    await guard.aio.aclose()


def test_customer_wins_over_the_bound_subject(guard: Guard, bound: Subject) -> None:
    @guard.requires_feature(ANALYTICS, customer=lambda who: who)
    def export(who: str) -> None: ...

    with pytest.raises(AccessDenied):
        export("customer-demo-02")


def test_resource_is_a_function_of_the_parameters_too(
    guard: Guard, bound: Subject
) -> None:
    @guard.requires_feature(ANALYTICS, resource=lambda site: site)
    def export(site: str | None) -> None: ...

    export("site-01")
    export(None)
    with pytest.raises(AccessDenied) as denied:
        export("site-99")
    assert denied.value.decision.reason is Reason.CUSTOMER_RESOURCE_NOT_FOUND


def test_without_a_subject_the_call_is_an_error_that_names_the_cure(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    @guard.requires_feature(ANALYTICS)
    def report() -> None:
        pytest.fail("ran")

    with pytest.raises(
        ConfigurationError, match=r"report\(\) is guarded.*with subject"
    ):
        report()
    assert not sidecar.calls


@pytest.mark.parametrize("nobody", [None, ""])
def test_customer_that_is_nobody_is_denied(guard: Guard, nobody: str | None) -> None:
    @guard.requires_feature(ANALYTICS, customer=lambda order: order.customer_id)
    def export(order: Order) -> None:
        pytest.fail("ran")

    with pytest.raises(AccessDenied) as denied:
        export(Order(nobody))
    assert denied.value.decision.reason is Reason.NO_CUSTOMER


def test_exempt_call_needs_no_subject(guard: Guard, sidecar: LocalSidecar) -> None:
    @guard.requires_feature(EDITORS, exempt_when=lambda dry_run: dry_run)
    def edit(dry_run: bool) -> str:
        return "edited"

    assert edit(True) == "edited"
    assert not sidecar.calls
    with pytest.raises(ConfigurationError):
        edit(False)


def test_resolver_of_requests_is_not_called_for_a_function(
    sidecar: LocalSidecar,
) -> None:
    def customer_of(request: object) -> str:
        pytest.fail("there is no request")

    guard = Guard(target=sidecar.target, timeout=5, customer=customer_of)

    @guard.requires_feature(ANALYTICS)
    def report() -> str:
        return "report"

    with subject(CUSTOMER):
        assert report() == "report"
    guard.close()


def test_exemption_of_requests_is_not_asked_for_a_function(
    sidecar: LocalSidecar,
) -> None:
    def is_staff(request: object) -> bool:
        pytest.fail("there is no request")

    guard = Guard(target=sidecar.target, timeout=5, exempt_when=is_staff)

    @guard.requires_feature(ANALYTICS)
    def report() -> str:
        return "report"

    with subject(CUSTOMER):
        assert report() == "report"
    guard.close()


def test_guard_that_is_off_asks_nothing_not_even_for_whom(
    sidecar: LocalSidecar,
) -> None:
    guard = Guard(target=sidecar.target, enabled=False)

    @guard.requires_feature(EDITORS)
    @guard.meters_usage(TEMPLATES)
    def edit() -> str:
        current_usage().value = 2
        return "edited"

    @guard.meters_usage(TEMPLATES)
    def rows() -> Iterator[int]:
        yield 1

    assert edit() == "edited"
    assert list(rows()) == [1]
    assert not sidecar.calls


def test_denial_in_shadow_mode_is_counted_and_the_function_runs(
    guard: Guard, bound: Subject
) -> None:
    @guard.requires_feature(EDITORS, shadow=True)
    def edit() -> str:
        return "edited"

    assert edit() == "edited"
    assert guard.counts["shadow_denied"] == 1


# What it uses


def test_usage_is_reported_after_the_function_returned(
    guard: Guard, bound: Subject
) -> None:
    @guard.meters_usage(TEMPLATES)
    def create() -> float | None:
        return used(guard)

    assert create() == 3
    assert used(guard) == 4


def test_units_are_held_while_the_function_runs(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES, value=2)
    def create(then: Any) -> Any:
        return then()

    def denied() -> AccessDenied:
        with pytest.raises(AccessDenied) as found:
            create(lambda: None)
        return found.value

    assert create(denied).decision.reason is Reason.REQUESTED_USAGE_EXCEEDING_LIMIT
    assert used(guard) == 5


def test_function_that_raises_uses_nothing(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES, value=3)
    def create() -> None:
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            create()
    assert used(guard) == 3
    assert guard.check(CUSTOMER, feature(TEMPLATES, usage=3))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_function_that_is_interrupted_gives_back(
    guard: Guard, bound: Subject, error: type[BaseException]
) -> None:
    @guard.meters_usage(TEMPLATES, value=3)
    def create(fails: bool) -> None:
        if fails:
            raise error

    with pytest.raises(error):
        create(True)
    create(False)
    assert used(guard) == 6


async def test_coroutine_that_is_cancelled_gives_back(
    guard: Guard, bound: Subject
) -> None:
    begun = asyncio.Event()

    @guard.meters_usage(TEMPLATES, value=3)
    async def create(seconds: float) -> None:
        begun.set()
        await asyncio.sleep(seconds)

    running = asyncio.create_task(create(60))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await create(0)
    assert used(guard) == 6
    await guard.aio.aclose()


def test_call_with_wrong_arguments_uses_nothing(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES, value=3)
    def create(name: str) -> None: ...

    with pytest.raises(TypeError, match="create"):
        create()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    create("mine")
    assert used(guard) == 6


def test_wrong_call_is_named_where_an_option_needs_its_arguments(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    @guard.requires_feature(ANALYTICS, customer=lambda who: who)
    def export(who: str) -> None: ...

    with pytest.raises(TypeError, match=r"export\(\): missing .*'who'"):
        export()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert not sidecar.calls


async def test_coroutine_with_wrong_arguments_uses_nothing(
    guard: Guard, bound: Subject
) -> None:
    @guard.meters_usage(TEMPLATES, value=3)
    async def create(name: str) -> None: ...

    with pytest.raises(TypeError, match="create"):
        await create()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await create("mine")
    assert used(guard) == 6
    await guard.aio.aclose()


def test_value_is_a_function_of_the_parameters(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES, value=lambda rows: len(rows))
    def load(rows: list[int]) -> None: ...

    load([1, 2])
    assert used(guard) == 5
    with pytest.raises(AccessDenied):
        load([1, 2])


def test_value_is_a_function_of_the_result(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES, value=lambda result, factor: result * factor)
    def load(factor: int) -> float:
        return 1

    load(2)
    assert used(guard) == 5
    load(0)
    assert used(guard) == 5


def test_function_says_what_it_really_used(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES, value=3)
    def load(units: float) -> None:
        current_usage().value = units

    load(2)
    assert used(guard) == 5


async def test_coroutine_says_what_it_really_used(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES)
    async def load(units: float) -> None:
        await asyncio.sleep(0)
        current_usage(TEMPLATES).value = units

    await asyncio.gather(load(0), load(2))
    assert used(guard) == 5
    await guard.aio.aclose()


def test_usage_is_that_of_the_function_which_meters_it(
    guard: Guard, bound: Subject
) -> None:
    @guard.requires_feature(ANALYTICS)
    def check() -> None:
        current_usage().value = 0.0
        current_usage(TEMPLATES).value = 2

    @guard.meters_usage(CAMPAIGNS)
    def inner() -> None:
        check()

    @guard.meters_usage(TEMPLATES)
    def outer() -> None:
        inner()

    outer()
    assert used(guard) == 5
    assert used(guard, CAMPAIGNS) == 0


def test_usage_without_a_metered_function_is_an_error(
    guard: Guard, bound: Subject
) -> None:
    @guard.meters_usage(TEMPLATES)
    def create() -> None:
        current_usage("other")

    with pytest.raises(
        ConfigurationError, match='no function runs that meters "other"'
    ):
        create()
    with pytest.raises(ConfigurationError, match="no function runs that meters usage"):
        current_usage()


def test_stacked_decorators_are_one_question_and_one_hold(
    guard: Guard, sidecar: LocalSidecar, bound: Subject
) -> None:
    @guard.requires_feature(TEMPLATES)
    @guard.meters_usage(TEMPLATES)
    def create() -> str:
        return "created"

    assert create() == "created"
    assert sidecar.calls == {"GetEntitlement": 1, "ReportUsage": 1}
    assert len(specs_of(create)) == 2


def test_decorators_of_two_guards_both_hold(
    guard: Guard, sidecar: LocalSidecar, bound: Subject
) -> None:
    other = Guard(target=sidecar.target, timeout=5, write_timeout=5)

    @guard.requires_feature(ANALYTICS)
    @other.requires_feature(EDITORS)
    def edit() -> None:
        pytest.fail("ran")

    with pytest.raises(AccessDenied):
        edit()
    assert other.counts["denied"] == guard.counts["allowed"] == 1
    other.close()


def test_subject_above_a_guard_is_bound_before_it_asks(guard: Guard) -> None:
    @subject(CUSTOMER)
    @guard.meters_usage(TEMPLATES)
    def create() -> None: ...

    create()
    assert used(guard) == 4


def test_new_total_of_seats_is_set(guard: Guard) -> None:
    @guard.meters_usage(
        EDITORS, value=lambda seats: seats, update="set", customer=lambda who: who
    )
    def assign(who: str, seats: int) -> None: ...

    assign("customer-demo-04", 5)
    seats = guard.entitlements("customer-demo-04")[EDITORS]
    assert (seats.current_usage, seats.usage_limit) == (5, 5)
    with pytest.raises(AccessDenied):
        assign("customer-demo-04", 6)
    assign("customer-demo-04", 1)
    assert guard.entitlements("customer-demo-04").remaining(EDITORS) == 4


def test_raw_event_is_reported_with_dimensions_of_the_call(
    guard: Guard, sidecar: LocalSidecar, bound: Subject
) -> None:
    @guard.meters_usage(
        event="mail.sent",
        dimensions=lambda to, result: {"to": to, "id": result},
        delivery="acknowledged",
    )
    def send(to: str) -> str:
        return "m1"

    send("a@example.com")
    assert sidecar.calls == {"ReportEvents": 1}


# Generators


def test_generator_is_metered_when_it_came_to_its_end(
    guard: Guard, bound: Subject
) -> None:
    @guard.meters_usage(TEMPLATES)
    def rows(count: int) -> Generator[int, None, str]:
        yield from range(count)
        return "end"

    assert inspect.isgeneratorfunction(rows)
    unused = rows(2)
    running = rows(2)
    assert next(running) == 0
    assert used(guard) == 3
    assert list(running) == [1]
    assert used(guard) == 4
    assert list(rows(0)) == []
    assert used(guard) == 5
    unused.close()
    assert used(guard) == 5


def test_generator_passes_values_errors_and_its_return_through(
    guard: Guard, bound: Subject
) -> None:
    @guard.requires_feature(ANALYTICS)
    def talk() -> Generator[str, str, str]:
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"
        return "end"

    running = talk()
    assert next(running) == "first"
    assert running.send("sent") == "sent"
    assert running.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as stopped:
        next(running)
    assert stopped.value.value == "end"


def test_generator_that_is_denied_says_so_at_its_first_item(
    guard: Guard, bound: Subject
) -> None:
    ran: list[int] = []

    @guard.requires_feature(EDITORS)
    def rows() -> Iterator[int]:
        ran.append(1)
        yield 1

    running = rows()
    with pytest.raises(AccessDenied):
        next(running)
    assert not ran


def left_early(rows: Generator[int]) -> None:
    next(rows)
    rows.close()


def failing(rows: Generator[int]) -> None:
    next(rows)
    with pytest.raises(ZeroDivisionError):
        rows.throw(ZeroDivisionError())


@pytest.mark.parametrize("end", [left_early, failing])
@pytest.mark.parametrize(
    ("streamed", "units"), [("end", 0), ("start", 1), (lambda item: item, 2)]
)
def test_generator_that_is_left_counts_as_it_is_told(
    guard: Guard, bound: Subject, streamed: Any, units: float, end: Any
) -> None:
    @guard.meters_usage(TEMPLATES, streamed=streamed)
    def rows() -> Generator[int]:
        yield 2
        yield 1

    end(rows())
    assert used(guard) == 3 + units
    with guard.metered(CUSTOMER, TEMPLATES, value=3 - units):
        pass  # what was not used is held no more


def test_generator_that_fails_before_its_first_item_uses_nothing(
    guard: Guard, bound: Subject
) -> None:
    @guard.meters_usage(TEMPLATES, value=3, streamed="start")
    def rows(fails: bool) -> Generator[int]:
        if fails:
            raise ZeroDivisionError
        yield 1

    with pytest.raises(ZeroDivisionError):
        list(rows(True))
    assert list(rows(False)) == [1]
    assert used(guard) == 6


def test_generator_says_what_it_really_used(guard: Guard, bound: Subject) -> None:
    @guard.meters_usage(TEMPLATES, hold=3, value=lambda result: result)
    def rows() -> Generator[int, None, int]:
        yield 1
        return 2

    @guard.meters_usage(TEMPLATES)
    def more() -> Generator[int]:
        usage = current_usage()
        yield 1
        usage.value = 0
        with pytest.raises(ConfigurationError):
            outside()

    def outside() -> None:
        current_usage(CAMPAIGNS)

    list(rows())
    assert used(guard) == 5
    list(more())
    assert used(guard) == 5


async def test_async_generator_is_metered_as_it_is_told(
    guard: Guard, bound: Subject
) -> None:
    @guard.meters_usage(TEMPLATES)
    async def rows() -> AsyncGenerator[int]:
        yield 1
        await asyncio.sleep(0)
        yield 2

    @guard.meters_usage(TEMPLATES, streamed=lambda item: item)
    async def counted() -> AsyncGenerator[float]:
        yield 2
        yield 100

    assert inspect.isasyncgenfunction(rows)
    assert [item async for item in rows()] == [1, 2]
    assert used(guard) == 4
    running = rows()
    assert await anext(running) == 1
    await running.aclose()
    assert used(guard) == 4
    counting = counted()
    await anext(counting)
    await counting.aclose()
    assert used(guard) == 6
    with pytest.raises(AccessDenied):
        await anext(rows())
    await guard.aio.aclose()


async def test_async_generator_passes_values_and_errors_through(
    guard: Guard, bound: Subject
) -> None:
    @guard.requires_feature(ANALYTICS)
    async def talk() -> AsyncGenerator[str, str]:
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"

    running = talk()
    assert await anext(running) == "first"
    assert await running.asend("sent") == "sent"
    assert await running.athrow(KeyError()) == "caught"
    with pytest.raises(StopAsyncIteration):
        await anext(running)
    await guard.aio.aclose()


# What may be decorated


def test_methods_of_every_kind_can_be_guarded(guard: Guard, bound: Subject) -> None:
    class Job:
        customer_id = "customer-demo-01"

        @guard.meters_usage(TEMPLATES, customer=lambda self: self.customer_id)
        def run(self, name: str) -> tuple[Job, str]:
            return self, name

        @guard.requires_feature(ANALYTICS)
        @staticmethod
        def above(name: str) -> str:
            return name

        @staticmethod
        @guard.requires_feature(ANALYTICS)
        def below(name: str) -> str:
            return name

        @guard.requires_feature(ANALYTICS, customer=lambda cls: cls.customer_id)
        @classmethod
        def made(cls, name: str) -> tuple[type[Job], str]:
            return cls, name

    job = Job()
    assert job.run("a") == (job, "a")
    assert used(guard) == 4
    assert job.above("a") == Job.below("a") == "a"
    assert Job.made("a") == (Job, "a")


def test_partial_and_callable_object_can_be_guarded(
    guard: Guard, bound: Subject
) -> None:
    class Adder:
        def __call__(self, one: int, other: int) -> int:
            return one + other

    requires = guard.requires_feature(ANALYTICS)
    assert requires(partial(Adder(), 1))(2) == 3
    assert requires(Adder())(1, 2) == 3
    assert requires(max)(1, 2) == 2


async def test_coroutine_behind_a_plain_function_is_metered_when_it_ran(
    guard: Guard, bound: Subject
) -> None:
    async def create(fails: bool) -> str:
        await asyncio.sleep(0)
        if fails:
            raise ZeroDivisionError
        return "created"

    metered: Any = guard.meters_usage(TEMPLATES, value=3)(lambda fails: create(fails))
    with pytest.raises(ZeroDivisionError):
        await metered(True)
    assert used(guard) == 3
    assert await metered(False) == "created"
    assert used(guard) == 6
    await guard.aio.aclose()


def test_threads_keep_their_own_subject_and_usage(guard: Guard) -> None:
    begun = threading.Barrier(3)

    @guard.meters_usage(TEMPLATES, customer=lambda who: who)
    def load(who: str, units: float) -> None:
        current_usage().value = units
        begun.wait(10)

    threads = [
        threading.Thread(target=load, args=args)
        for args in (("customer-demo-01", 0), ("customer-demo-01", 2))
    ]
    for thread in threads:
        thread.start()
    begun.wait(10)
    for thread in threads:
        thread.join()
    assert used(guard) == 5


# What is refused


def test_class_is_refused(guard: Guard) -> None:
    with pytest.raises(TypeError, match="on the class Order; decorate its methods"):
        guard.requires_feature(ANALYTICS)(Order)


@pytest.mark.parametrize("wrong", [None, "text", 5])
def test_what_cannot_be_called_is_refused(guard: Guard, wrong: Any) -> None:
    with pytest.raises(TypeError, match="put it on a function"):
        guard.meters_usage(TEMPLATES)(wrong)


def test_missing_parentheses_are_named(guard: Guard) -> None:
    def export() -> None: ...

    wrong: Any = export
    for decorator in (guard.requires_feature, guard.meters_usage, guard.requires_any):
        with pytest.raises(TypeError, match="without its parentheses"):
            decorator(wrong)


@pytest.mark.parametrize("option", ["customer", "resource", "exempt_when"])
def test_option_that_takes_what_the_function_has_not_is_refused(
    guard: Guard, option: str
) -> None:
    options: Any = {option: lambda user_id: user_id}
    decorator = guard.requires_feature(ANALYTICS, **options)
    with pytest.raises(
        TypeError, match=rf"{option} is .* takes user_id; .*export\(\) does not.*order"
    ):

        @decorator
        def export(order: Order) -> None: ...


@pytest.mark.parametrize(
    "wrong", [len, lambda *rows: 1, lambda **rows: 1, lambda row, /: row]
)
def test_option_that_takes_nothing_by_name_is_refused(guard: Guard, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"value is .* by name"):
        guard.meters_usage(TEMPLATES, value=wrong)


def test_customer_cannot_know_the_result(guard: Guard) -> None:
    with pytest.raises(TypeError, match="takes result"):

        @guard.meters_usage(TEMPLATES, customer=lambda result: result)
        def export() -> None: ...


def test_guard_is_found_when_the_function_is_called(sidecar: LocalSidecar) -> None:
    made: list[Guard] = []

    from stigg_guard.function_decorators import FunctionDecorators

    class Decorators(FunctionDecorators):
        def guard_for_call(self) -> Guard:
            return made[0]

    @Decorators().requires_feature(ANALYTICS)
    def report() -> str:
        return "report"

    made.append(Guard(target=sidecar.target, timeout=5))
    with subject(CUSTOMER):
        assert report() == "report"
    made[0].close()
