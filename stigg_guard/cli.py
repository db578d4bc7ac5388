"""The `stigg-guard` command's entry point.

Only the check of its extra lives here; the commands are in `stigg_guard.commands` and
`sidecar_client.local`.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

from sidecar_client.local.extra import INSTALL, MissingExtra, require_extra

_OF_CLICK: Final = (
    *("outbox", "routes", "doctor"),
    *("check", "entitlements", "usage", "report", "event"),
)


def main() -> None:
    """Run the command, or say which packages it needs and exit with 1."""
    try:
        _require_click()
        from stigg_guard.commands import console

        console.main()
    except MissingExtra as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _require_click() -> None:
    """All that every command needs; the local sidecar's need more."""
    if find_spec("click") is not None:
        return
    if sys.argv[1:2] and sys.argv[1] in _OF_CLICK:
        raise MissingExtra(f"`stigg-guard {sys.argv[1]}` needs click: {INSTALL}")
    require_extra()


if __name__ == "__main__":
    main()
