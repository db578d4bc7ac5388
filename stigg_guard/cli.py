"""The `stigg-guard` command's entry point.

Only the check of its extra lives here; the commands are in `sidecar_client.local`.
"""

from __future__ import annotations

import sys

from sidecar_client.local.extra import MissingExtra, require_extra


def main() -> None:
    """Run the command, or say which packages it needs and exit with 1."""
    try:
        require_extra()
    except MissingExtra as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(1)
    from sidecar_client.local.command import stigg_guard

    stigg_guard(prog_name="stigg-guard")


if __name__ == "__main__":
    main()
