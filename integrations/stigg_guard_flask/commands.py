"""`flask stigg-guard`: the commands of stigg_guard on the guard of the application.

The commands themselves are in `stigg_guard.commands`.
"""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import ScriptInfo

from stigg_guard import Guard
from stigg_guard.commands.failure import Group
from stigg_guard.commands.group import outbox_group
from stigg_guard.commands.routes import routes_command
from stigg_guard.commands.source import Source
from stigg_guard_flask.extension import guard_from
from stigg_guard_flask.routes import routes_of


def _app() -> Flask:
    """The application that `--app` names, whose context lasts on."""
    context = click.get_current_context()
    app = context.ensure_object(ScriptInfo).load_app()
    context.with_resource(app.app_context())
    return app


def _guard() -> Guard:
    return guard_from(_app())


stigg_guard = Group(
    "stigg-guard",
    commands=[
        outbox_group(
            Source(
                guard=_guard,
                outbox_cure='set app.config["STIGG_GUARD_OUTBOX"], or give the'
                " StiggGuard of the application outbox=...",
            )
        ),
        routes_command(lambda: list(routes_of(_app()))),
    ],
    help="Usage that waits to be delivered, and what else stigg_guard has to tell.",
)
