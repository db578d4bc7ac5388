"""A peer that went silent, over a real network: two hosts made of namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest


def _can_make_hosts() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True)
    return made.returncode == 0


# In CI this runs or fails: only people without the rights for it may go without.
@pytest.mark.skipif(
    "CI" not in os.environ and not _can_make_hosts(),
    reason="needs root, unshare and iproute2 to make two hosts",
)
@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_peer_that_went_silent_is_noticed_in_two_seconds_and_found_again(
    way: str,
) -> None:
    command = ["unshare", "--net", sys.executable, "-m"]
    done = subprocess.run(
        [*command, "tests.client.scripts.dead_peer", way],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seconds = {
        name: float(took) for name, took in map(str.split, done.stdout.splitlines())
    }
    assert seconds["noticed"] < 2, done.stdout
    assert seconds["answered"] < 0.5, done.stdout
