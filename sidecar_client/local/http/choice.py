"""The options of the command line that are about HTTP.

What people type and what follows from it live here; serving does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from sidecar_client.local.http.options import DEFAULT_PORT
from sidecar_client.local.ports import HTTP, PortTaken, bound


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpChoice:
    """What was typed about HTTP."""

    named_port: int | None
    """None when no port was named."""
    host: str
    token: str | None
    is_off: bool

    def port(self) -> int | None:
        """The port to take; None for no HTTP.

        The default gives way to whoever has it; a port that was named does not.
        """
        if self.is_off or self.named_port is not None:
            return None if self.is_off else self.named_port
        try:
            bound(self.host, DEFAULT_PORT, HTTP).close()
        except PortTaken as taken:
            click.echo(f"{taken.told}: HTTP takes a free one.", err=True)
            return 0
        return DEFAULT_PORT


def http_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and its argument `http` what was typed."""

    @click.option(
        "--http-port",
        type=click.IntRange(0, 65535),
        help=f"HTTP as well. [default: {DEFAULT_PORT}, or a free one]",
    )
    @click.option("--http-host", default="127.0.0.1", show_default=True)
    @click.option(
        "--token",
        envvar="STIGG_GUARD_TOKEN",
        show_envvar=True,
        help="What HTTP callers have to show; needed on hosts other than loopback.",
    )
    @click.option("--no-http", is_flag=True, help="Serve gRPC alone.")
    @wraps(command)
    def with_choice(**typed: Any) -> None:
        named_port, is_off = typed.pop("http_port"), typed.pop("no_http")
        if is_off and named_port is not None:
            raise click.UsageError("--no-http and --http-port: give one of them.")
        choice = HttpChoice(
            named_port=named_port,
            host=typed.pop("http_host"),
            token=typed.pop("token") or None,
            is_off=is_off,
        )
        command(http=choice, **typed)

    return with_choice
