"""`python -m example_project [django|flask|fastapi]`: start one of the examples.

How each is started lives in `launch`.
"""

from __future__ import annotations

import sys

from example_project.launch import FRAMEWORKS, launch
from example_project.places import LaunchError
from sidecar_client import StiggGuardError


def main() -> int:
    """Serve until Ctrl-C; the exit status."""
    arguments = sys.argv[1:] or ["django"]
    if len(arguments) > 1 or arguments[0] not in FRAMEWORKS:
        return _fail(
            f'"{" ".join(arguments)}" is not an example; use one of'
            f" {', '.join(FRAMEWORKS)}."
        )
    try:
        launch(arguments[0])
    except (LaunchError, StiggGuardError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 0
    return 0


def _fail(message: str) -> int:
    print(f"example_project: {message}", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
