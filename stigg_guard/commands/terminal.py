"""What the terminal can show: its width, its signs, and whether colours are wanted.

What is shown on it is the commands'.
"""

from __future__ import annotations

import os
import shutil
import sys
from io import TextIOWrapper

import click


def prepared(context: click.Context) -> click.Context:
    """A command's context, its output fit for the terminal that it goes to.

    Colours are for terminals, and for none where NO_COLOR is set (no-color.org). Signs
    that the output's encoding lacks are spelled out, as in `\\u2588`.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    return context


def width() -> int | None:
    """How many columns there are; None where the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def can_show(signs: str) -> bool:
    """Whether the output's encoding has these signs."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        signs.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
