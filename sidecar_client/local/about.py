"""What a local sidecar says of itself.

Only that lives here; who is told it does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What runs, and what it serves."""

    target: str
    """Where it serves gRPC, such as `127.0.0.1:8443`."""
    catalog: str
    """Where its catalog came from: an absolute path, `demo` or `memory`."""
    catalog_problem: str | None = None
    """Why what its files say now is not served; None when it is."""
    version: str = field(default_factory=lambda: version("stigg-guard"))
