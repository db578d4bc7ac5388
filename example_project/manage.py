#!/usr/bin/env python
"""Django's command line for Revvenu."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run a command, with the project's root importable."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.revvenu.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
