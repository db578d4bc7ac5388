"""The client that the settings ask for; it connects at its first call, not here.

What is said over it lives in `sidecar`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sidecar_client import Stigg, SyncStigg
from stigg_guard.errors import ConfigurationError
from stigg_guard.settings import Settings
from stigg_guard.sidecar import AsyncSidecar, SyncSidecar

LOCAL = "local"


def sync_sidecar(settings: Settings) -> SyncSidecar:
    """A sidecar for synchronous code."""
    return SyncSidecar(SyncStigg(**_options(settings)))


def async_sidecar(settings: Settings) -> AsyncSidecar:
    """A sidecar for asynchronous code."""
    return AsyncSidecar(Stigg(**_options(settings)))


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "timeout": settings.timeout,
        "write_timeout": settings.write_timeout,
    }
    if settings.target == LOCAL:
        options["local_sidecar_catalog"] = settings.catalog
        options["local_sidecar_port"] = settings.local_port
    else:
        options["target"] = settings.target
    if settings.root_certificates is not None:
        options["root_certificates"] = _read(settings.root_certificates)
    return options


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f'ROOT_CERTIFICATES is "{path}", which cannot be read ({error.strerror});'
            " give the path of a PEM file."
        ) from error
