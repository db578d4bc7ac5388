"""How metering works in an application: its times and choices, apart from its stores.

What they are called in the settings is said in `stigg_guard.settings`.
"""

from __future__ import annotations

from dataclasses import dataclass

from stigg_guard.metering.outbox.row import OnAmbiguous


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Times in seconds."""

    wait: float = 1.0
    """How long a request waits for units that others hold; 0: not at all."""
    lease: float = 30.0
    """When the hold of a process that died is given back."""
    usage_young_for: float = 60.0
    """How long calculated usage may not be in the sidecar's answers."""
    events_young_for: float = 10.0
    """How long raw events may not be in the sidecar's answers."""
    on_ambiguous: OnAmbiguous = "reconcile"
    """What becomes of a change that may or may not have arrived."""
    is_durable: bool = False
    """Whether the outbox outlives the process."""
