"""Brings what a peer needs: packages of Debian, npm and PyPI, and code from the .proto.

What is missing and cannot be brought is said in one sentence. Who needs what lives in
`peers`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
BUILD: Final = ROOT / "build" / "interop"
PROTOS: Final = BUILD / "proto"
SIDECAR_PROTO: Final = "stigg/sidecar/v1/sidecar.proto"


class Missing(Exception):
    """A peer cannot run; says why."""


def lay_out_proto() -> None:
    """Put our .proto where its own package says that it is."""
    place = PROTOS / SIDECAR_PROTO
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "sidecar_client" / "protocol" / "sidecar.proto", place)


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a program and return what it printed; `Missing` when it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=900,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or ["no output"]
        raise Missing(f"{command[0]} failed: {said[-1]}") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} did not end within 15 minutes") from None
    return done.stdout.strip()


def debian(*packages: str) -> None:
    """Install packages of Debian, when that is allowed and they are not here."""
    wanted = [package for package in packages if not _is_installed(package)]
    if not wanted:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Missing(f"needs the Debian packages {', '.join(wanted)}")
    run("apt-get", "update", "-qq")
    run(
        *("apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted),
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )


def _is_installed(package: str) -> bool:
    try:
        return run("dpkg-query", "-W", "-f", "${Status}", package).endswith("installed")
    except Missing:
        return False


def version_of(package: str) -> str:
    """The version of an installed package of Debian, without Debian's own part."""
    version = run("dpkg-query", "-W", "-f", "${Version}", package)
    return version.partition(":")[2].partition("-")[0] or version.partition("-")[0]


def npm(folder: Path) -> None:
    """Install exactly what the lock file names, unless it is there already."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Missing("needs Node.js and npm")
    lock, done = folder / "package-lock.json", folder / "node_modules" / ".interop-lock"
    if done.is_file() and done.read_bytes() == lock.read_bytes():
        return
    run(
        *("npm", "ci", "--prefix", folder),
        *("--ignore-scripts", "--no-audit", "--no-fund"),
    )
    shutil.copy(lock, done)


def pypi(folder: Path, requirements: Path) -> None:
    """Install pinned packages of PyPI into an environment of their own."""
    python = folder / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
    run(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "--no-deps", "-r", requirements),
    )


def copy(source: Path, target: Path, files: Sequence[str]) -> None:
    """Copy files there, so that what is built stays out of the source tree."""
    target.mkdir(parents=True, exist_ok=True)
    for name in files:
        shutil.copy(source / name, target / name)
