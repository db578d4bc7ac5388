"""Flask as it is deployed: gunicorn that forks a loaded application, and gevent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sidecar_client.local import LocalSidecar
from tests.behaviour.routes import AT_LIMIT, WITHIN
from tests.behaviour.servers import hang_up_amid
from tests.behaviour.test_streams import eventually
from tests.behaviour.usage import used
from tests.scripted_sidecar import scripted_sidecar

ROOT = Path(__file__).parents[2]
BOUND = 30.0


@contextmanager
def gunicorn(
    target: str, log: Path, *options: str, asks_while_loading: bool = False
) -> Generator[str]:
    """Serve `flask_site` on a free port; yields its URL and ends the master by pid."""
    command = [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0", *options]
    command += [f"--pythonpath={ROOT}", "tests.integrations.flask_site:create_app()"]
    environ = os.environ | {"TEST_STIGG_GUARD_TARGET": target}
    if asks_while_loading:
        environ["ASK_WHILE_LOADING"] = "yes"
    with log.open("wb") as output:
        master = subprocess.Popen(
            command, cwd=log.parent, env=environ, stdout=output, stderr=output
        )
    try:
        yield listening(master, log)
    finally:
        master.send_signal(signal.SIGQUIT)
        try:
            master.wait(BOUND)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait()


def listening(master: subprocess.Popen[bytes], log: Path) -> str:
    """The URL that gunicorn says it listens on."""
    end = time.monotonic() + BOUND
    while time.monotonic() < end:
        found = re.search(r"Listening at: (\S+)", log.read_text())
        if found is not None:
            return found[1]
        assert master.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError(f"gunicorn did not listen: {log.read_text()}")


def ask(url: str, method: str, path: str, customer: str) -> httpx.Response:
    headers = {"X-Customer": customer, "Connection": "close"}
    return httpx.request(
        method, url + path, headers=headers, timeout=BOUND, trust_env=False
    )


def pids_until(url: str, count: int) -> set[str]:
    """Process ids that answered, as soon as there are so many of them."""
    pids: set[str] = set()
    end = time.monotonic() + BOUND
    with ThreadPoolExecutor(max_workers=8) as threads:
        while len(pids) < count and time.monotonic() < end:
            asked = [
                threads.submit(ask, url, "GET", "/domain", WITHIN) for _ in range(16)
            ]
            for one in asked:
                response = one.result()
                assert response.status_code == 200, response.text
                pids.add(response.text)
    return pids


@pytest.mark.parametrize("asks_while_loading", [False, True])
def test_every_worker_of_a_preloaded_application_serves(
    sidecar: LocalSidecar, tmp_path: Path, asks_while_loading: bool
) -> None:
    log = tmp_path / "gunicorn.log"
    options = ("--preload", "--workers=4")
    with gunicorn(
        sidecar.target, log, *options, asks_while_loading=asks_while_loading
    ) as url:
        assert len(pids_until(url, 4)) == 4
        assert ask(url, "GET", "/domain", AT_LIMIT).status_code == 402
        assert ask(url, "POST", "/templates", WITHIN).status_code == 201
        assert used(sidecar, WITHIN) == 4
        for status in (201, 201, 402):
            assert ask(url, "POST", "/templates", WITHIN).status_code == status
        assert used(sidecar, WITHIN) == 6
    assert "Traceback" not in log.read_text()


def test_gevent_worker_serves(sidecar: LocalSidecar, tmp_path: Path) -> None:
    log = tmp_path / "gunicorn.log"
    options = ("--worker-class=gevent", "--workers=1")
    with gunicorn(sidecar.target, log, *options) as url:
        assert len(pids_until(url, 1)) == 1
        assert ask(url, "GET", "/domain", AT_LIMIT).status_code == 402
        assert ask(url, "POST", "/templates", WITHIN).status_code == 201
        assert used(sidecar, WITHIN) == 4
    assert "Traceback" not in log.read_text()


def test_requests_of_a_gevent_worker_wait_for_the_sidecar_side_by_side(
    tmp_path: Path,
) -> None:
    log = tmp_path / "gunicorn.log"
    customers = [f"customer-{number}" for number in range(6)]
    together = threading.Barrier(len(customers))
    with scripted_sidecar() as sidecar:

        def answer_when_all_have_asked() -> None:
            together.wait(BOUND)

        sidecar.on_call = answer_when_all_have_asked
        with (
            gunicorn(sidecar.target, log, "--worker-class=gevent") as url,
            ThreadPoolExecutor(max_workers=len(customers)) as threads,
        ):
            asked = [
                threads.submit(ask, url, "GET", "/domain", customer)
                for customer in customers
            ]
            assert [one.result().status_code for one in asked] == [200] * len(asked)


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_client_that_hangs_up_is_metered_once_by_what_was_sent(
    sidecar: LocalSidecar, tmp_path: Path, worker: str
) -> None:
    log = tmp_path / "gunicorn.log"
    with gunicorn(sidecar.target, log, f"--worker-class={worker}") as url:
        port = int(url.rpartition(":")[2])
        hang_up_amid(port, "/stream?chunks=inf", WITHIN, after=20)
        assert eventually(lambda: used(sidecar, WITHIN) >= 5)
    assert sidecar.calls["ReportUsage"] == 1
    assert "Traceback" not in log.read_text()
