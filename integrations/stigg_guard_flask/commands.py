"""`flask stigg-guard`: the commands of stigg_guard on the guard of the application.

The commands themselves are in `stigg_guard.commands`.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from flask import Flask
from flask.cli import ScriptInfo

from stigg_guard import Guard
from stigg_guard.commands.failure import HELP, Group
from stigg_guard.commands.finding import Finding
from stigg_guard.commands.group import commands_on
from stigg_guard.commands.routes import routes_command
from stigg_guard.commands.source import Source
from stigg_guard.commands.words import counted
from stigg_guard_flask.requests import guard_from
from stigg_guard_flask.routes import routes_of, specs_in


def _app() -> Flask:
    """The application that `--app` names, whose context lasts on."""
    context = click.get_current_context()
    app = context.ensure_object(ScriptInfo).load_app()
    context.with_resource(app.app_context())
    return app


def _guard() -> Guard:
    return guard_from(_app())


def _findings() -> Iterator[Finding]:
    """What `doctor` tells of the application."""
    app = _app()
    guarded = [route for route in routes_of(app) if route.is_guarded]
    has_customer = guard_from(app).settings.customer is not None
    if not has_customer and any(spec.customer is None for spec in specs_in(app)):
        yield Finding(
            level="fail",
            about="wiring",
            words="views are guarded, and nobody says who the customer is",
            cure="Give the StiggGuard of the application customer=...",
        )
    else:
        words = f"{counted(len(guarded), 'guarded route')}; see `routes`"
        yield Finding(level="ok", about="wiring", words=words)


_source = Source(
    guard=_guard,
    findings=_findings,
    outbox_cure='set app.config["STIGG_GUARD_OUTBOX"], or give the'
    " StiggGuard of the application outbox=...",
)

stigg_guard = Group(
    "stigg-guard",
    commands=[*commands_on(_source), routes_command(lambda: list(routes_of(_app())))],
    help=HELP,
)
