"""Usage to report to the sidecar once a view succeeded.

How it is sent lives in `stigg_guard.sidecar`.
"""

from __future__ import annotations

from dataclasses import dataclass

from stigg_guard.requirement import Dimension, Update
from stigg_guard.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Calculated usage of a feature, in its units: a change, or the new total."""

    subject: Subject
    feature_id: str
    value: float
    update: Update = "delta"
    dimensions: tuple[tuple[str, Dimension], ...] = ()
