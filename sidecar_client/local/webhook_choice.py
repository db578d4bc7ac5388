"""The options of the command line that are about webhooks.

What people type and what follows from it live here; sending does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.webhooks import Webhook


def webhook_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and its argument `webhooks` what they name."""

    @click.option(
        "--webhook-url",
        "urls",
        metavar="URL",
        multiple=True,
        help="Told of changes, as by the vendor; may be given several times.",
    )
    @click.option(
        "--webhook-secret",
        "secret",
        metavar="SECRET",
        envvar="STIGG_GUARD_WEBHOOK_SECRET",
        show_envvar=True,
        help="What webhooks know the sidecar by: the application's WEBHOOK_SECRET.",
    )
    @click.option(
        "--webhook-shape",
        "shape",
        type=click.Choice(["flat", "envelope"]),
        default="flat",
        show_default=True,
        help="Fields side by side, or in an envelope around `data`.",
    )
    @wraps(command)
    def with_webhooks(**typed: Any) -> None:
        urls, secret = typed.pop("urls"), typed.pop("secret") or ""
        shape = typed.pop("shape")
        if urls and not secret:
            raise click.UsageError(
                "--webhook-url needs --webhook-secret, the secret that the application"
                " expects."
            )
        try:
            found = [Webhook(url=url, secret=secret, shape=shape) for url in urls]
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None
        command(webhooks=found, **typed)

    return with_webhooks
