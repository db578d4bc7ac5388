"""The three front ends of the commands, called in this process as their users do."""

from __future__ import annotations

import io
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from django.core.management import CommandError, call_command
from flask import Flask
from flask.cli import ScriptInfo

from stigg_guard.commands import console
from stigg_guard_flask import StiggGuard
from stigg_guard_flask.commands import stigg_guard as flask_commands
from tests.integrations.django_site import project


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command ended with, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on stderr that says what is wrong."""
        (line,) = self.err.splitlines()
        assert line.startswith("Error: "), line
        return line.removeprefix("Error: ")


class Front(ABC):
    """A front end whose guard has these settings."""

    name: str
    """How its users call it."""
    group: tuple[str, ...] = ("outbox",)
    """What all of its commands begin with."""

    def __init__(self, **settings: str) -> None:
        self.settings: dict[str, Any] = dict(settings)

    def __call__(self, *arguments: str, typed: str = "") -> Done:
        """Run `outbox` with arguments, answering what it asks."""
        return _done(lambda: self._run([*self.group, *arguments]), typed)

    @abstractmethod
    def _run(self, arguments: list[str]) -> int: ...


class Console(Front):
    """`stigg-guard outbox`, set up by the environment."""

    name = "stigg-guard"

    def _run(self, arguments: list[str]) -> int:
        environ = {f"STIGG_GUARD_{k.upper()}": v for k, v in self.settings.items()}
        with patch.dict(os.environ, environ):
            return _status(lambda: console.main(arguments))


class Django(Front):
    """`manage.py stigg_guard outbox`, through `call_command`."""

    name = "manage.py stigg_guard"

    def _run(self, arguments: list[str]) -> int:
        with project(**self.settings):
            return _called(arguments)


class FlaskApp(Front):
    """`flask stigg-guard outbox`."""

    name = "flask stigg-guard"

    def _run(self, arguments: list[str]) -> int:
        app = Flask(__name__)
        StiggGuard(app, customer=lambda: None, **self.settings)
        return _status(
            lambda: flask_commands.main(
                arguments, self.name, obj=ScriptInfo(create_app=lambda: app)
            )
        )


def run_main(run: Callable[[], object], typed: str = "") -> Done:
    """What a command of click ended with."""
    return _done(lambda: _status(run), typed)


def run_django(*arguments: str, typed: str = "") -> Done:
    """What `manage.py stigg_guard` ended with, in the project of the moment."""
    return _done(lambda: _called(arguments), typed)


def _done(run: Callable[[], int], typed: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "stdin", io.StringIO(typed)),
    ):
        status = run()
    return Done(status=status, out=out.getvalue(), err=err.getvalue())


def _called(arguments: Sequence[str]) -> int:
    try:
        call_command("stigg_guard", *arguments)
    except CommandError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.returncode
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _status(run: Callable[[], object]) -> int:
    try:
        run()
    except SystemExit as end:
        return int(end.code or 0)
    raise AssertionError("a command always says how it ended")


FRONTS: tuple[type[Front], ...] = (Console, Django, FlaskApp)
