"""The local sidecar: a real gRPC server for development and tests.

Its public names live here. No part of the client imports it: it needs an extra.
"""

from __future__ import annotations

from sidecar_client.local.extra import require_extra

require_extra()

# After the check, so that a missing package is an error that says what to type.
from sidecar_client.local.catalog import Catalog  # noqa: E402
from sidecar_client.local.loading import load_catalog  # noqa: E402
from sidecar_client.local.sidecar import LocalSidecar  # noqa: E402

__all__ = ["Catalog", "LocalSidecar", "load_catalog"]
