"""The local sidecar: a real gRPC server for development and tests.

Its public names live here. No part of the client imports it: it needs an extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar_client.local.extra import require_extra

if TYPE_CHECKING:
    from sidecar_client.local.catalog import Catalog
    from sidecar_client.local.loading import load_catalog
    from sidecar_client.local.sidecar import LocalSidecar
    from sidecar_client.local.webhooks import Webhook

__all__ = ["Catalog", "LocalSidecar", "Webhook", "load_catalog"]


def __getattr__(name: str) -> object:
    # On first use, so that a missing extra is an error that says what to type.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_extra()
    from sidecar_client.local import catalog, loading, sidecar, webhooks

    globals().update(
        Catalog=catalog.Catalog,
        LocalSidecar=sidecar.LocalSidecar,
        Webhook=webhooks.Webhook,
        load_catalog=loading.load_catalog,
    )
    return globals()[name]
