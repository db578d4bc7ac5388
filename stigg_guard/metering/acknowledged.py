"""What the sidecar says of a measurement that it took.

How it is asked, and what becomes of a measurement it did not take, lives elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The sidecar took a measurement.

    `current_usage` is the total after it, and `period` the start of the usage period it
    counted in, in seconds since 1970; None where the sidecar did not say. Raw events
    are counted later, so both are None.
    """

    current_usage: float | None = None
    period: float | None = None
