"""What an extra of the distribution brings, and the line to type when it is missing.

The local sidecar has its own list in `sidecar_client.local.extra`.
"""

from __future__ import annotations

from importlib.util import find_spec


def require(module: str, *, extra: str, needed_by: str) -> None:
    """Raise `ImportError` with the line to type when a module is not installed."""
    if find_spec(module) is None:
        raise ImportError(
            f"{needed_by} needs {module}, which is not installed:"
            f" pip install 'stigg-guard[{extra}]'"
        )
