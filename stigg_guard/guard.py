"""Both kinds of guard, for what takes either.

What they do lives in `sync_guard` and `async_guard`, what they share in `base_guard`.
"""

from __future__ import annotations

from stigg_guard.async_guard import AsyncGuard
from stigg_guard.errors import ConfigurationError
from stigg_guard.sync_guard import Guard

__all__ = ["AsyncGuard", "Guard", "checked_guard"]


def checked_guard(found: object, owner: str) -> Guard | AsyncGuard:
    """A guard that was given to `owner`, or an error that says what to give."""
    if not isinstance(found, Guard | AsyncGuard):
        raise ConfigurationError(
            f"{owner}(guard=...) is {found!r}; give it a Guard or an AsyncGuard."
        )
    return found
