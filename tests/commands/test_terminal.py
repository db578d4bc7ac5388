"""What the console shows on terminals of all kinds, and how it reaches a sidecar."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.commands import console as consoles
from stigg_guard.commands import terminal
from stigg_guard.commands.amounts import used_bar
from stigg_guard.commands.table import table
from stigg_guard.commands.words import columns
from stigg_guard.decision import Entitlement
from tests.client.certificates import Certificate
from tests.client.servers import Hold, Server, allow
from tests.commands.fronts import Console
from tests.metering.holds.servers import free_port

CUSTOMER = "customer-demo-02"
CATALOG = {
    "features": [
        {"id": "f-" + "templates" * 6, "type": "metered", "meter": "incremental"},
        {"id": "f-regions", "type": "enum", "values": ["東京", "e\u0301"]},
        {"id": "f-none", "type": "metered", "meter": "fluctuating"},
        {"id": "f-label", "type": "boolean"},
    ],
    "plans": [
        {
            "id": "p",
            "entitlements": {
                "f-" + "templates" * 6: {"limit": 9, "reset_period": "month"},
                "f-regions": {"values": ["東京", "e\u0301"]},
                "f-none": {"limit": 0},
                "f-label": {"granted": False},
            },
        }
    ],
    "customers": [
        {
            "id": "c",
            "subscriptions": [{"plan": "p"}],
            "usage": [{"feature": "f-" + "templates" * 6, "value": 1}],
        }
    ],
}


@pytest.fixture
def console() -> Iterator[Console]:
    """The console on a sidecar with entitlements of all shapes."""
    with LocalSidecar(CATALOG) as sidecar:
        found = Console(target=sidecar.target)
        found.group = ()
        yield found


def test_table_shows_access_bars_and_reasons(console: Console) -> None:
    lines = console("entitlements", "c").out.splitlines()
    assert re.split(r"  +", lines[0]) == [
        *("feature", "type", "access", "granted", "period ends", "reason")
    ]
    assert re.split(r"  +", lines[1]) == ["f-label", "boolean", "no", "REVOKED"]
    assert re.split(r"  +", lines[2]) == [
        *("f-none", "metered", "no", "██████████ 0 of 0 used, 0 left"),
        "REQUESTED_USAGE_EXCEEDING_LIMIT",
    ]
    assert re.split(r"  +", lines[3]) == ["f-regions", "enum", "yes", "東京, e\u0301"]
    *_, granted, end = re.split(r"  +", lines[4])
    assert granted == "█░░░░░░░░░ 1 of 9 used, 8 left"
    assert re.fullmatch(r"20\d\d-\d\d-01 00:00 UTC, in [\d.]+ (d|h|min|s)", end)


@pytest.mark.parametrize("width", [180, 160, 140, 130, 100, 80, 64])
def test_table_keeps_to_the_width_of_the_terminal(
    width: int, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "width", lambda: width)
    *lines, _, last = console("entitlements", "c").out.splitlines()
    assert max(map(columns, lines)) <= width
    assert last == "4 entitlements, said by the sidecar."
    text = "\n".join(lines)
    assert ("UTC" in text) == (width >= 180)
    assert (" left" in text) == (width >= 160)
    assert ("░" in text) == (width >= 140)
    assert ("..." in text) == (width <= 100)


@pytest.mark.parametrize(
    ("used", "bar"),
    [(0, "░░░░"), (1, "█░░░"), (500, "██░░"), (999, "███░"), (1000, "████")],
)
def test_bar_is_full_when_all_is_used_and_empty_when_nothing_is(
    used: float, bar: str
) -> None:
    entitlement = Entitlement(kind="metered", usage_limit=1000, current_usage=used)
    assert used_bar(entitlement, 4) == bar
    assert used_bar(Entitlement(kind="metered", is_unlimited=True), 4) == ""


def test_columns_are_counted_as_a_terminal_does() -> None:
    assert [columns(text) for text in ("ab", "東京", "e\u0301", "👍")] == [
        *(2, 4, 1, 2)
    ]
    lines = list(table(("a", "b"), [("東", "x"), ("e\u0301", "y"), ("abc", "z")]))
    assert [
        columns(line.partition(sign)[0])
        for line, sign in zip(lines[1:], "xyz", strict=True)
    ] == [5, 5, 5]


def test_output_that_lacks_signs_gets_others(console: Console) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    with redirect_stdout(out), pytest.raises(SystemExit) as end:
        consoles.main(["entitlements", "c", "--target", console.settings["target"]])
    out.seek(0)
    text = out.read()
    assert end.value.code in (0, None)
    assert "#--------- 1 of 9 used, 8 left" in text
    assert "\\u6771\\u4eac" in text


def on_a_terminal(*arguments: str, **environ: str) -> str:
    """What the console writes to a real terminal of 80 columns."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    subprocess.run(["stty", "cols", "80"], stdin=theirs, check=True)
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("stigg-guard")), *arguments],
        stdout=theirs,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        env={**kept, **environ},
    )
    assert done.stderr == b""
    os.close(theirs)
    text, give_up = b"", time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            text += os.read(ours, 65_536)
        except BlockingIOError:
            continue
        except OSError:  # all is read, and the other end closed
            break
    os.close(ours)
    return text.decode()


def test_colours_are_for_terminals_and_for_those_who_want_them(
    console: Console,
) -> None:
    target = ("--target", console.settings["target"])
    shown = on_a_terminal("entitlements", "c", *target)
    assert "\x1b[32myes\x1b[0m" in shown
    assert max(columns(re.sub(r"\x1b\[\d+m", "", x)) for x in shown.split("\r\n")) <= 80
    assert "\x1b" not in on_a_terminal("check", "c", "f-none", *target, NO_COLOR="1")
    assert "\x1b" not in console("check", "c", "f-none").out


def test_local_sidecar_is_asked_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setattr(consoles, "DEFAULT_TARGET", f"127.0.0.1:{port}")
    console = Console()
    console.group = ()
    asked = (
        ("check", CUSTOMER, "feature-02-campaigns"),
        ("entitlements", CUSTOMER),
        ("usage", CUSTOMER, "feature-02-campaigns"),
        ("report", CUSTOMER, "feature-02-campaigns", "1"),
        ("event", CUSTOMER, "e"),
    )
    for words in asked:
        done = console(*words)
        assert done.status == 3
        assert "No sidecar was named, so the local one on" in done.error
        assert "`stigg-guard sidecar run` starts it" in done.error
    with LocalSidecar(port=port):
        for words in asked:
            assert (console(*words).status, console(*words).err) == (0, "")


def test_named_sidecar_is_told_without_a_hint() -> None:
    console = Console(target=f"127.0.0.1:{free_port()}")
    console.group = ()
    assert "No sidecar was named" not in console("entitlements", "c").error


def test_catalog_of_the_environment_is_for_its_local_sidecar_only(
    console: Console,
) -> None:
    other = Console(target="local", catalog="plans.yaml")
    other.group = ()
    done = other("entitlements", "c", "--target", console.settings["target"])
    assert (done.status, done.err) == (0, "")


def test_timeout_is_how_long_is_waited() -> None:
    answer = Hold()
    with Server(answer) as slow:
        console = Console(target=slow.target)
        console.group = ()
        for words in (("entitlements", "c"), ("report", "c", "f", "1")):
            done = console(*words, "--timeout", "0.1")
            assert done.status == 3
            assert "no answer within 0.1 s" in done.error
        answer.let_go()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", "86401"])
def test_timeout_that_is_none_is_one_error(seconds: str, console: Console) -> None:
    done = console("check", "c", "f-none", "--timeout", seconds)
    assert (done.status, done.out) == (2, "")
    assert done.error.startswith("Invalid value for '--timeout'")


def test_tls_is_spoken_with_root_certificates(tmp_path: Path) -> None:
    roots, certificate = tmp_path / "ca.pem", Certificate.named("localhost")
    roots.write_bytes(certificate.pem)
    with Server(allow, credentials=certificate.server) as server:
        console = Console(target=server.target)
        console.group = ()
        done = console("check", "c", "f", "--root-certificates", str(roots), "--json")
        assert json.loads(done.out)["allowed"] is True
        assert done.status == 0
        assert "pass root_certificates" in console("check", "c", "f").error
    done = console("check", "c", "f", "--root-certificates", str(tmp_path / "no.pem"))
    assert done.status == 2
    assert done.error.startswith("Invalid value for '--root-certificates'")
    roots.write_text("no certificate")
    done = console("check", "c", "f", "--root-certificates", str(roots))
    assert done.status == 2
    assert "without a PEM certificate" in done.error
