"""The times that options take: seconds, in a range, and really a number.

What they are for is said where they are taken.
"""

from __future__ import annotations

import math
from typing import Any

import click


class Seconds(click.FloatRange):
    """A number of seconds; neither `nan`, which no range refuses, nor infinite."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(
                f"{value} is no number of seconds; use one such as 5.", param, ctx
            )
        return found
