"""From the units that are reported to those that are granted, priced and shown.

Only the transformation of a number lives here; counters keep what was reported.
"""

from __future__ import annotations

import math
import sys

from sidecar_client.local.catalog import Feature

_CLOSE = 1e-9
"""How close to a whole number a quotient is that number: floats are not exact."""


def in_units(feature: Feature, reported: float) -> float:
    """The number in the feature's units: divided and rounded, where it says so."""
    transformation = feature.unit_transformation
    if transformation is None:
        return reported
    quotient = reported / transformation.divide
    if not math.isfinite(quotient):
        return math.copysign(sys.float_info.max, quotient)
    nearest = float(round(quotient))
    if math.isclose(quotient, nearest, rel_tol=_CLOSE, abs_tol=_CLOSE):
        return nearest
    rounded = math.ceil if transformation.round == "up" else math.floor
    return float(rounded(quotient))
