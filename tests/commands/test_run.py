"""`outbox run`: delivers, says so, and ends when it is told to."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask

from sidecar_client import GetEntitlementRequest, SyncStigg
from sidecar_client.local import LocalSidecar
from stigg_guard import Guard
from stigg_guard.commands import stopping
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from stigg_guard_flask import StiggGuard, guard_from
from stigg_guard_flask.commands import stigg_guard
from tests.commands.fronts import Console, Front
from tests.commands.samples import CAMPAIGNS, CUSTOMER, event, usage
from tests.counting_sidecar import counting_sidecar

COMMAND = [sys.executable, "-W", "error", "-m", "stigg_guard.cli", "outbox"]


CLEAR = "\r\x1b[K"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def used(sidecar: LocalSidecar) -> float:
    """What the sidecar counts of the samples' calculated usage."""
    request = GetEntitlementRequest(customer_id=CUSTOMER, feature_id=CAMPAIGNS)
    with SyncStigg(target=sidecar.target, timeout=10) as stigg:
        return stigg.get_entitlement(request).metered.current_usage


def wait_until(is_so: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < give_up, what
        time.sleep(0.02)


@contextmanager
def running(
    *arguments: str,
    log: Path,
    out: int | None = None,
) -> Generator[subprocess.Popen[bytes]]:
    """`stigg-guard outbox` with arguments, as a process that ends with the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=file if out is None else out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def test_drain_delivers_everything_and_ends(
    front: Front, outbox: SqliteOutbox, sidecar: LocalSidecar
) -> None:
    before = used(sidecar)
    outbox.put([event(number) for number in range(1_500)])
    outbox.put([usage(2), usage(-1), usage(3)])
    done = front("run", "--drain")
    assert (done.status, done.err) == (0, "")
    first, last = done.out.splitlines()
    assert first == (
        f"Delivering the outbox in {outbox.location} to the sidecar at"
        f" {sidecar.target}."
    )
    assert re.fullmatch(r"1,503 delivered in \d+ s; 0 pending, 0 parked\.", last)
    assert len(sidecar.events) == 1_500
    assert used(sidecar) - before == 4


def test_once_ends_after_one_step(
    front: Front, outbox: SqliteOutbox, sidecar: LocalSidecar
) -> None:
    outbox.put([event(number) for number in range(1_500)])
    assert front("run", "--once").status == 0
    assert outbox.status().delivered == 1_000
    assert front("run", "--once").status == 0
    assert len(sidecar.events) == 1_500


def test_outage_is_told_once_and_drain_fails_at_its_timeout(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([event(), event()])
    front.settings["target"] = f"127.0.0.1:{free_port()}"
    done = front("run", "--drain", "--timeout", "2", "--poll", "0.05")
    assert done.status == 1
    told, error = done.err.splitlines()
    assert told.startswith("The sidecar takes nothing: ReportEvents on 127.0.0.1:")
    assert error.startswith("Error: 2 rows could not be delivered: ReportEvents on ")
    assert outbox.rows()[0].attempts > 1


def test_once_fails_when_nothing_takes_usage(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([event()])
    front.settings["target"] = f"127.0.0.1:{free_port()}"
    done = front("run", "--once")
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith("Error: ReportEvents on 127.0.0.1:")


def test_drain_fails_when_a_row_was_parked_meanwhile(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([usage(customer="nobody-knows"), usage()])
    done = front("run", "--drain")
    assert done.status == 1
    assert "Error: 1 row parked until a person decides; see `outbox list" in done.err
    assert outbox.status().delivered == 1
    assert front("run", "--drain").status == 0, "that was told before"


def test_change_in_doubt_is_parked_where_holds_are_in_other_memories(
    outbox: SqliteOutbox, tmp_path: Path
) -> None:
    with counting_sidecar() as sidecar:
        where = ("--location", outbox.location, "--target", sidecar.target)
        with running(*where, "run", "--poll", "0.1", log=tmp_path / "log"):
            outbox.put([usage(2, is_held=True)])
            wait_until(lambda: outbox.status().delivered, "it was not delivered")
            # To who knows its own reports only, this looks as if the next had arrived.
            sidecar.put(3, CUSTOMER)
            outbox.put([usage(1, is_held=True, doubtful=True)])
            wait_until(lambda: outbox.status().parked, "it was taken for delivered")
        assert sidecar.total(CUSTOMER) == 3


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--once", "--drain"], "--once and --drain were given; use one of them."),
        (["--timeout", "3"], "--timeout 3 was given without --drain; add --drain."),
        (["--poll", "0"], "Invalid value for '--poll': 0.0 is not in the range"),
        (["--poll", "nan"], "Invalid value for '--poll'"),
        (["--poll", "soon"], "Invalid value for '--poll': 'soon' is not a valid"),
    ],
)
def test_arguments_that_make_no_sense_are_one_error(
    arguments: list[str], error: str, front: Front
) -> None:
    done = front("run", *arguments)
    assert done.status == 2
    assert done.error.startswith(error)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_delivers_what_comes_until_it_is_told_to_end(
    number: signal.Signals, outbox: SqliteOutbox, sidecar: LocalSidecar, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    where = ("--location", outbox.location, "--target", sidecar.target)
    with running(*where, "run", "--poll", "0.1", log=log) as process:
        for count in range(1, 4):
            outbox.put([event(count)])
            wait_until(lambda: len(sidecar.events) == count, "it was not delivered")  # noqa: B023
        process.send_signal(number)
        assert process.wait(5) == 0
    first, *_, last = log.read_text().splitlines()
    assert first.startswith(f"Delivering the outbox in {outbox.location} to ")
    assert re.fullmatch(r"3 delivered in \d+ s; 0 pending, 0 parked\.", last)


def test_signal_lets_the_call_under_way_end_and_sends_no_more(
    outbox: SqliteOutbox, tmp_path: Path
) -> None:
    outbox.put([usage(1, customer=f"c{number}") for number in range(300)])
    answer = threading.Event()

    def wait() -> None:
        answer.wait(10)

    with counting_sidecar() as slow:
        slow.on_applied = wait
        where = ("--location", outbox.location, "--target", slow.target)
        with running(*where, "run", log=tmp_path / "log") as process:
            wait_until(lambda: slow.calls["ReportUsageBulk"], "nothing was sent")
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: has_no_signal_pending(process), "it was not told")
            answer.set()
            assert process.wait(10) == 0
        assert slow.calls["ReportUsageBulk"] == 1
    status = outbox.status()
    assert (status.delivered, status.pending, status.in_flight) == (100, 200, 0)
    assert not any(row.doubtful for row in outbox.rows("pending"))


def has_no_signal_pending(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process took every signal that it was sent."""
    told = Path(f"/proc/{process.pid}/status").read_text()
    return re.findall(r"^(?:SigPnd|ShdPnd):\t(\w+)$", told, re.M) == 2 * [16 * "0"]


def test_step_that_does_not_end_is_broken_off(
    outbox: SqliteOutbox, sidecar: LocalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(_happening: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(600)

    monkeypatch.setattr(stopping, "LONGEST_END", 1)
    outbox.put([event()])
    before = [signal.getsignal(number) for number in stopping.HEEDED]
    app = Flask("shop")
    StiggGuard(
        app, customer=lambda: None, outbox=outbox.location, target=sidecar.target
    )
    guard_from(app).on("delivered", hang)
    done = app.test_cli_runner().invoke(stigg_guard, ["outbox", "run"])
    assert done.exit_code == 1
    assert "Error: the step under way did not end within" in done.output
    assert [signal.getsignal(number) for number in stopping.HEEDED] == before


def test_killed_run_loses_and_doubles_no_event(
    outbox: SqliteOutbox, sidecar: LocalSidecar, tmp_path: Path
) -> None:
    outbox.put([event(number) for number in range(3_000)])
    where = ("--location", outbox.location, "--target", sidecar.target)
    with running(*where, "run", log=tmp_path / "log") as process:
        wait_until(lambda: sidecar.events, "nothing was sent")
        process.kill()
    later = SqliteOutbox(outbox.location, clock=lambda: time.time() + 60)
    guard = Guard(target=sidecar.target, outbox=outbox.location)
    worker = guard.stores.worker()
    worker.outbox = later
    while worker.step():
        pass
    later.close()
    guard.close()
    seen = Counter(event.idempotency_key for event in sidecar.events)
    assert len(seen) == 3_000
    assert set(seen.values()) == {1}


def test_two_runs_deliver_each_change_once(
    outbox: SqliteOutbox, sidecar: LocalSidecar, tmp_path: Path
) -> None:
    before = used(sidecar)
    outbox.put([usage(1) for _ in range(1_000)])
    outbox.put([event(number) for number in range(3_000)])
    where = ("--location", outbox.location, "--target", sidecar.target)
    with (
        running(*where, "run", "--drain", log=tmp_path / "one") as one,
        running(*where, "run", "--drain", log=tmp_path / "two") as two,
    ):
        assert [one.wait(60), two.wait(60)] == [0, 0]
    assert used(sidecar) - before == 1_000
    assert len(sidecar.events) == 3_000
    assert outbox.status().delivered == 4_000


def test_outage_and_its_end_are_told(outbox: SqliteOutbox, tmp_path: Path) -> None:
    log, port = tmp_path / "log", free_port()
    outbox.put([event()])
    where = ("--location", outbox.location, "--target", f"127.0.0.1:{port}")
    with running(*where, "run", "--poll", "0.1", log=log) as process:
        wait_until(lambda: "The sidecar takes nothing" in log.read_text(), "no word")
        with LocalSidecar(port=port) as sidecar:
            wait_until(lambda: len(sidecar.events) == 1, "it was not delivered")
            wait_until(lambda: "takes usage again" in log.read_text(), "no word")
        process.terminate()
        assert process.wait(10) == 0
    text = log.read_text()
    assert text.count("The sidecar takes nothing") == 1
    assert re.search(r"^The sidecar takes usage again, after \d+ s\.$", text, re.M)


def test_terminal_shows_one_line_that_is_updated(
    outbox: SqliteOutbox, sidecar: LocalSidecar, tmp_path: Path
) -> None:
    outbox.put([event(number) for number in range(1_500)])
    outbox.put([usage(customer="nobody-knows")])
    ours, theirs = pty.openpty()
    where = ("--location", outbox.location, "--target", sidecar.target)
    with running(*where, "run", log=tmp_path / "log", out=theirs) as process:
        os.close(theirs)
        shown = read_until(ours, "1,500 delivered, 0 pending, 1 parked")
        process.terminate()
        shown += read_until(ours, "0 pending, 1 parked.\r\n")
        assert process.wait(10) == 0
    os.close(ours)
    first, *rest = shown.split("\r\n")
    assert first.endswith(f"to the sidecar at {sidecar.target}.")
    figures = [line for line in shown.split(CLEAR) if "delivered, " in line]
    assert figures, "each stood on a line that was cleared before"
    assert not any("\n" in line for line in figures), "and made way for what followed"
    assert re.fullmatch(
        r"1,500 delivered, 0 pending, 1 parked(, [\d,]+/s)?", figures[-1]
    )
    assert re.match(r"1,500 delivered in ", rest[-2].split(CLEAR)[-1])
    assert "Usage is parked in the outbox until a person decides" in shown


def read_until(terminal: int, wanted: str) -> str:
    shown, give_up = "", time.monotonic() + 30
    while wanted not in shown:
        assert time.monotonic() < give_up, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65_536).decode()
    return shown


def test_console_needs_to_know_the_sidecar(outbox: SqliteOutbox) -> None:
    done = Console(outbox=outbox.location)("run", "--drain")
    assert done.status == 2
    assert done.error.startswith("No sidecar is named, so there is nobody to deliver")


def test_run_makes_the_outbox_where_none_is(
    tmp_path: Path, sidecar: LocalSidecar
) -> None:
    path = tmp_path / "new.db"
    front = Console(outbox=str(path), target=sidecar.target)
    assert front("run", "--drain").status == 0
    assert path.exists()
