"""The child process: `python -m sidecar_client.local --control-socket PATH ...`.

It serves for as long as somebody holds a lease; people run `stigg-guard sidecar run`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from sidecar_client.child_settings import agreed
from sidecar_client.errors import ConfigurationError
from sidecar_client.local.extra import require_extra

if TYPE_CHECKING:
    from sidecar_client.local.leases import Leases

logger = logging.getLogger("sidecar_client.local")


def main() -> int:
    """Serve until the last lease ends or SIGTERM comes; the exit status."""
    # Ctrl-C reaches the whole group of processes; the holder decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    arguments = _arguments()
    try:
        asyncio.run(_serve(arguments))
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sidecar_client.local")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-socket", required=True)
    parser.add_argument("--catalog")
    parser.add_argument("--log-level", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    # Imported here: a missing package is then told like every other error.
    require_extra()
    from sidecar_client.local.environment import Environment
    from sidecar_client.local.leases import HELLO, ControlSocket, LeaseLog, Leases
    from sidecar_client.local.reloading import reloading
    from sidecar_client.local.sidecar import LocalSidecar

    environment = Environment.of({**os.environ, "GRPC_PORT": ""})
    sidecar = LocalSidecar(
        arguments.catalog,
        host=arguments.host,
        port=arguments.port,
        store=environment.store(),
        fallbacks=environment.entitlements_fallback,
        offline=environment.offline,
        http_port=0,
        health_path=environment.health_path,
        ready_path=environment.ready_path,
    )
    async with sidecar:
        # What there is by now stays, and collecting garbage need not look at it again.
        gc.freeze()
        hello = {
            "hello": HELLO,
            "pid": os.getpid(),
            "target": sidecar.target,
            "catalog": sidecar.origin,
            "http": sidecar.http_url,
            "settings": agreed(os.environ),
        }
        leases = Leases(hello)
        level = arguments.log_level or environment.log_level or "INFO"
        _send_log(LeaseLog(leases, asyncio.get_running_loop()), level)
        environment.tell_ignored()
        with ControlSocket(arguments.control_socket) as control, reloading(sidecar):
            server = await asyncio.start_unix_server(leases.serve, sock=control.socket)
            logger.info("Serving the catalog %s on %s", sidecar.origin, sidecar.target)
            await _until_over(leases)
            server.close()


def _send_log(handler: logging.Handler, level: str) -> None:
    # The level is for our own records; of others, only warnings are of interest.
    logging.getLogger().addHandler(handler)
    logging.getLogger("sidecar_client").setLevel(level)


async def _until_over(leases: Leases) -> None:
    """Wait for the last lease to end, or for SIGTERM."""
    over = asyncio.create_task(leases.run_out())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.cancel)
    with suppress(asyncio.CancelledError):
        await over


if __name__ == "__main__":
    sys.exit(main())
