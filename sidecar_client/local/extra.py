"""What the local sidecar needs beyond the client, and the error when it is missing.

Only this check lives here; it imports nothing that could be missing.
"""

from __future__ import annotations

from importlib.util import find_spec

from sidecar_client.errors import ConfigurationError

INSTALL = "pip install 'stigg-guard[local]'"
_NEEDED = (
    "click",
    "graphql",
    "grpc_health",
    "grpc_reflection",
    "httpx",
    "prometheus_client",
    "psutil",
    "pydantic",
    "starlette",
    "uvicorn",
    "yaml",
)


class MissingExtra(ConfigurationError, ImportError):
    """Packages of an extra are not installed; the message has the line to type."""


def require_extra() -> None:
    """Raise `MissingExtra` unless everything of the `local` extra is installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"The local sidecar needs {', '.join(missing)}; "
            f"install what is missing with: {INSTALL}"
        )
