"""The command line: `stigg-guard sidecar run`; `catalog_command` has the rest.

What people type and read lives here; the sidecar itself does not.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Sequence

import click

from sidecar_client.local.catalog_command import catalogs, contents_of, readable_errors
from sidecar_client.local.environment import Environment
from sidecar_client.local.http.choice import HttpChoice, http_options
from sidecar_client.local.ports import check_address, check_host, is_loopback
from sidecar_client.local.reloading import reloading
from sidecar_client.local.sidecar import MOST_DELAY, LocalSidecar
from sidecar_client.local.stores.location import name_of
from sidecar_client.local.webhook_choice import webhook_options
from sidecar_client.local.webhooks import Webhook

PORT = 8443

logger = logging.getLogger("sidecar_client.local")


@click.group()
@click.version_option(package_name="stigg-guard")
def stigg_guard() -> None:
    """Guard and meter web views with Stigg entitlements."""


@stigg_guard.group()
def sidecar() -> None:
    """The local sidecar, for development and tests."""


@sidecar.command()
@click.option(
    "--catalog",
    "catalog",
    metavar="PATH",
    multiple=True,
    help="A file of YAML or JSON, or a folder of such; may be repeated. Read again when"
    " it changes, and at SIGHUP. Without it: the demo catalog.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"[default: GRPC_PORT or {PORT}]"
)
@click.option(
    "--store",
    metavar="memory|FILE.db|redis://...",
    help="Where usage is kept. [default: the Redis of REDIS_*, or memory]",
)
@click.option(
    "--events-delay",
    type=click.FloatRange(0, MOST_DELAY),
    default=0.0,
    metavar="SECONDS",
    help="How long raw events take to show; the real one takes up to 10.  [default: 0]",
)
@http_options
@webhook_options
@click.option("--verbose", is_flag=True, help="Log every request.")
def run(
    catalog: tuple[str, ...],
    host: str,
    port: int | None,
    store: str | None,
    events_delay: float,
    http: HttpChoice,
    webhooks: Sequence[Webhook],
    *,
    verbose: bool,
) -> None:
    """Serve a catalog until Ctrl-C or SIGTERM."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    with readable_errors():
        environment = Environment.of(os.environ)
        # Of other packages, only warnings are of interest here.
        level = "DEBUG" if verbose else environment.log_level or "INFO"
        logging.getLogger("sidecar_client").setLevel(level)
        environment.tell_ignored()
        if port is None:
            port = PORT if environment.grpc_port is None else environment.grpc_port
        sidecar = LocalSidecar(
            catalog or None,
            host=host,
            port=port,
            store=environment.store(store),
            events_delay=events_delay,
            fallbacks=environment.entitlements_fallback,
            offline=environment.offline,
            http_host=http.host,
            token=http.token,
            health_path=environment.health_path,
            ready_path=environment.ready_path,
            webhooks=webhooks,
        )
        asyncio.run(_serve(sidecar, http))


stigg_guard.add_command(catalogs)


async def _serve(sidecar: LocalSidecar, http: HttpChoice) -> None:
    check_host(sidecar.host)
    if not is_loopback(sidecar.host):
        logger.warning(
            "%s is reachable from other machines, and the sidecar asks nobody who they "
            "are; use --host 127.0.0.1 unless that is what you want",
            sidecar.host,
        )
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    check_address(sidecar.host, sidecar.port)
    # Asked last: what it says of the usual port would be no help beside an error.
    sidecar.http_port = http.port()
    async with sidecar:
        # What there is by now stays, and collecting garbage need not look at it again.
        gc.freeze()
        click.echo(_welcome(sidecar))
        with reloading(sidecar):
            await over.wait()
    click.echo("Stopped.")


def _welcome(sidecar: LocalSidecar) -> str:
    catalog = sidecar.catalog
    kept = name_of(sidecar.world.store)
    where = "the demo catalog" if sidecar.origin == "demo" else sidecar.origin
    lines = [
        f"Local sidecar on {sidecar.target} (plaintext gRPC)",
        *([f"Console:   {sidecar.http_url}"] if sidecar.http_url else []),
        *[f"Webhooks:  {hook.url}" for hook in sidecar.webhooks.webhooks],
        f"Catalog:   {where} ({contents_of(catalog)})",
        *([f"Store:     {kept}"] if kept != "memory" else []),
        f"Customers: {_listed([customer.id for customer in catalog.customers])}",
        "",
    ]
    return "\n".join([*lines, *_to_try(sidecar), "", "Stop it with Ctrl-C."])


def _to_try(sidecar: LocalSidecar) -> list[str]:
    customers, features = sidecar.catalog.customers, sidecar.catalog.features
    question = "customer_id='...', feature_id='...'"
    if customers and features:
        question = f"customer_id={customers[0].id!r}, feature_id={features[0].id!r}"
    return [
        "Try it:",
        "  from sidecar_client import ApiConfig, GetEntitlementRequest, SyncStigg",
        "  stigg = SyncStigg(ApiConfig(api_key=''), "
        f"remote_sidecar_host={sidecar.host!r}, remote_sidecar_port={sidecar.port})",
        f"  print(stigg.get_entitlement(GetEntitlementRequest({question})))",
    ]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:8]) or "none"
    return f"{shown}, ..." if len(names) > 8 else shown
