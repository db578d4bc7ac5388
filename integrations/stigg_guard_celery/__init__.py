"""Celery tasks run for the subject that they were sent for: it travels with them.

Guarding a task needs nothing of this: the decorators are those of any function.
"""

from __future__ import annotations

from stigg_guard.extras import require

require("celery", extra="celery", needed_by=__name__)

from stigg_guard_celery.propagation import propagate_subject  # noqa: E402  # says why

__all__ = ["propagate_subject"]
