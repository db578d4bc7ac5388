"""The matrix: the suite on every supported Python and on the oldest dependencies.

`nox` runs all of it, `nox -s newest` one session. Interpreters are looked for on PATH
and among pyenv's.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

PYTEST = ("pytest", "-q", "-n", "2", "--dist", "loadfile")

# What grpcio 1.68 leaves to the garbage collector: the sockets of its asyncio poller.
OLD_GRPC = ("-W", "ignore::pytest.PytestUnraisableExceptionWarning")


def _find_pyenv() -> None:
    """Let nox find the Pythons that pyenv holds but has not put in front."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    held = sorted(root.glob("versions/3.1[1-9].*/bin"))
    os.environ["PATH"] = os.pathsep.join([*map(str, held), os.environ["PATH"]])


_find_pyenv()


def _run(session: nox.Session, requirements: str, *options: str) -> None:
    session.install("-r", requirements)
    session.install("--no-deps", "-e", ".")
    session.run(*PYTEST, *options, *session.posargs)


@nox.session(python=["3.11", "3.12"])
def tests(session: nox.Session) -> None:
    """The locked dependencies on older Pythons: Django 5.2 on 3.11, 6.1 on 3.12."""
    _run(session, "requirements/dev.txt")


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """The newest Python with the newest of everything; `make test` kills processes."""
    _run(session, "requirements/dev.txt", "--ignore=tests/crash")


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Every dependency at the floor that pyproject.toml names."""
    _run(session, "requirements/oldest.txt", *OLD_GRPC)


@nox.session(python="3.11")
@nox.parametrize("runtime", ["6.31.1", "6.33.0"])
def protobuf(session: nox.Session, runtime: str) -> None:
    """The protocol and the client on protobuf runtimes between oldest and newest."""
    session.install("-r", "requirements/oldest.txt")
    session.install("--no-deps", "-e", ".")
    session.install(f"protobuf=={runtime}")
    # Code that the health and reflection packages bring is as old as ours, and warns.
    old_code = ("-W", "ignore:Protobuf gencode version:UserWarning")
    tests = ("tests/client", "tests/guard")
    session.run(*PYTEST, *OLD_GRPC, *old_code, *tests, *session.posargs)
