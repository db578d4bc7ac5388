"""`routes`: what each route of an application needs, as a table or as lines of JSON.

Which routes there are is known to the adapters; what rows say is in `routing`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import click

from stigg_guard.commands.applications import FORMS, routes_of
from stigg_guard.commands.failure import Alarm, Command
from stigg_guard.commands.table import table
from stigg_guard.commands.words import counted, printable
from stigg_guard.routing import GuardedRoute

Find: TypeAlias = Callable[[], Sequence[GuardedRoute]]

HELP: Final = """\
Show what each route needs, in the order in which routes are tried.

Only guarded routes are shown, unless --all is given. Routes with guard_exempt count as
neither guarded nor unguarded. The exit status is 3 when --fail-on-unguarded found one.
"""
_TITLES: Final = ("methods", "path", "needs", "by", "name")
_NEEDS: Final = _TITLES.index("needs")
_UNGUARDED: Final = "- unguarded"
_EXEMPT: Final = "- exempt"


def _options(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option("--all", "is_all", is_flag=True, help="Also unguarded ones."),
            click.option("--json", "is_json", is_flag=True, help="One route a line."),
            click.option(
                "--fail-on-unguarded",
                is_flag=True,
                help="Exit with 3 when a route is neither guarded nor exempt.",
            ),
            click.option(
                "--ignore",
                metavar="PREFIX",
                multiple=True,
                help="Leave out paths that begin so; may be repeated.",
            ),
        )
    ):
        function = option(function)
    return function


def routes_command(find: Find) -> click.Command:
    """`routes` of a front end that knows its application."""

    @click.command("routes", cls=Command, help=HELP)
    @_options
    def routes(**options: Any) -> None:
        _show(find(), **options)

    return routes


@click.command("routes", cls=Command, help=f"{HELP}\n\nAPP is {FORMS}.")
@click.argument("app", required=False, metavar="[APP]")
@_options
def routes_of_app(*, app: str | None, **options: Any) -> None:
    _show(routes_of(app), **options)


def _show(
    routes: Sequence[GuardedRoute],
    *,
    is_all: bool,
    is_json: bool,
    fail_on_unguarded: bool,
    ignore: Sequence[str],
) -> None:
    kept = [route for route in routes if not route.path.startswith(tuple(ignore))]
    shown = [route for route in kept if is_all or route.is_guarded]
    if is_json:
        for route in shown:
            click.echo(json.dumps(route.as_json()))
    else:
        for line in _table(shown):
            click.echo(line)
        click.echo(_summary(kept, is_all=is_all))
    bare = [route for route in kept if not route.is_guarded and not route.is_exempt]
    if fail_on_unguarded and bare:
        raise Alarm(_alarm(bare))


def _table(routes: Sequence[GuardedRoute]) -> Iterator[str]:
    if not routes:
        return
    rows = [line for route in routes for line in _cells(route)]
    colours = ["yellow" if row[_NEEDS] == _UNGUARDED else None for row in rows]
    yield from table(_TITLES, rows, colours)
    yield ""


def _cells(route: GuardedRoute) -> Iterator[tuple[str, ...]]:
    """A line for each requirement; the first one says what they are of."""
    where = (" ".join(route.methods) or "any", route.path)
    name = route.name
    missing = (_EXEMPT if route.is_exempt else _UNGUARDED, "")
    needs = zip(route.requirements, route.sources, strict=True)
    for need, source in list(needs) or [missing]:
        yield tuple(map(printable, (*where, need, source, name)))
        where, name = ("", ""), ""


def _summary(routes: Sequence[GuardedRoute], *, is_all: bool) -> str:
    guarded = sum(route.is_guarded for route in routes)
    exempt = sum(route.is_exempt and not route.is_guarded for route in routes)
    bare = len(routes) - guarded - exempt
    text = f"{counted(len(routes), 'route')}: {guarded:,} guarded, {bare:,} unguarded"
    if exempt:
        text += f", {exempt:,} exempt"
    return f"{text}." if is_all or guarded == len(routes) else f"{text}; see --all."


def _alarm(bare: Sequence[GuardedRoute]) -> str:
    first = [f"{' '.join(route.methods) or 'any'} {route.path}" for route in bare[:3]]
    more = f" and {len(bare) - 3:,} more" if len(bare) > 3 else ""
    return (
        f"{counted(len(bare), 'route')} unguarded: {', '.join(first)}{more}. Guard"
        " them, mark them with guard_exempt, or leave them out with --ignore."
    )
