"""`with subject(...)`: who code acts for, in blocks, functions, tasks and threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest

from stigg_guard import Subject, current_subject, subject

ONE, TWO = Subject("one"), Subject("two", "site")


def test_nobody_is_bound_at_first() -> None:
    assert current_subject() is None


def test_blocks_nest_and_end() -> None:
    with subject("one") as bound:
        assert bound == current_subject() == ONE
        with subject("two", "site"):
            assert current_subject() == TWO
        assert current_subject() == ONE
    assert current_subject() is None


def test_block_that_raises_ends_too() -> None:
    with pytest.raises(ZeroDivisionError), subject("one"):
        raise ZeroDivisionError
    assert current_subject() is None


def test_ready_subject_can_be_bound() -> None:
    with subject(TWO):
        assert current_subject() is TWO


@pytest.mark.parametrize("wrong", [None, "", 5])
def test_wrong_customer_is_named(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"Subject\.customer_id is"):
        subject(wrong)


def test_resource_is_given_once() -> None:
    with pytest.raises(ValueError, match="give a Subject, or the ids"):
        subject(TWO, "site")


async def test_tasks_inherit_it_and_keep_their_own() -> None:
    async def who(customer_id: str | None = None) -> Subject | None:
        await asyncio.sleep(0)
        if customer_id is None:
            return current_subject()
        async with subject(customer_id):
            await asyncio.sleep(0)
            return current_subject()

    with subject("one"):
        found = await asyncio.gather(who(), who("a"), who("b"), who())
        assert current_subject() == ONE
    assert [*found] == [ONE, Subject("a"), Subject("b"), ONE]
    assert current_subject() is None


async def test_thread_of_asyncio_inherits_it() -> None:
    with subject("one"):
        assert await asyncio.to_thread(current_subject) == ONE


def test_other_thread_starts_with_nobody_unless_given_the_context() -> None:
    found: list[Subject | None] = []

    def look() -> None:
        found.append(current_subject())

    with subject("one"):
        context = contextvars.copy_context()
        for target in (look, lambda: context.run(look)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert found == [None, ONE]


def test_decorated_function_runs_for_the_subject() -> None:
    @subject("one")
    def who(number: int = 1) -> tuple[int, Subject | None]:
        """Tells."""
        return number, current_subject()

    assert who(2) == (2, ONE)
    assert current_subject() is None
    assert (who.__name__, who.__doc__) == ("who", "Tells.")


async def test_decorated_coroutine_runs_for_the_subject() -> None:
    @subject("one")
    async def who() -> Subject | None:
        await asyncio.sleep(0)
        return current_subject()

    assert inspect.iscoroutinefunction(who)
    assert await who() == ONE
    assert current_subject() is None


def test_decorated_generator_binds_only_while_it_runs() -> None:
    @subject("one")
    def who() -> Generator[Subject | None, str, Subject | None]:
        got = yield current_subject()
        assert got == "more"
        yield current_subject()
        return current_subject()

    running = who()
    assert next(running) == ONE
    assert current_subject() is None
    assert running.send("more") == ONE
    with pytest.raises(StopIteration) as stopped:
        next(running)
    assert stopped.value.value == ONE


async def test_decorated_async_generator_binds_only_while_it_runs() -> None:
    @subject("one")
    async def who() -> AsyncGenerator[Subject | None]:
        yield current_subject()
        await asyncio.sleep(0)
        yield current_subject()

    found: list[Subject | None] = []
    async for item in who():
        found += [item, current_subject()]
    assert found == [ONE, None, ONE, None]


def test_decorated_methods_stay_what_they_are() -> None:
    class Job:
        @subject("one")
        def run(self) -> tuple[Job, Subject | None]:
            return self, current_subject()

        @subject("one")
        @staticmethod
        def static() -> Subject | None:
            return current_subject()

        @subject("one")
        @classmethod
        def made(cls) -> tuple[type[Job], Subject | None]:
            return cls, current_subject()

    job = Job()
    assert job.run() == (job, ONE)
    assert job.static() == Job.static() == ONE
    assert Job.made() == (Job, ONE)


@pytest.mark.parametrize("wrong", [int, "text", None])
def test_what_is_no_function_cannot_be_decorated(wrong: Any) -> None:
    with pytest.raises(TypeError, match="put it on a function"):
        subject("one")(wrong)


def test_name_is_the_context_manager_whatever_is_imported_first() -> None:
    code = (
        "import stigg_guard.subject as module\n"
        "from stigg_guard.subject import Subject\n"
        "import stigg_guard\n"
        "with stigg_guard.subject('c') as bound:\n"
        "    assert bound == Subject('c')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
