"""The decorators for functions of a Flask application: jobs, commands, resolvers.

Those of views, which know their request, are in `views`.
"""

from __future__ import annotations

from typing import Final

from stigg_guard import Guard
from stigg_guard.function_decorators import FunctionDecorators
from stigg_guard_flask.requests import guard_from


class ApplicationGuard(FunctionDecorators):
    """Guards functions by the guard of the application that is current when called."""

    def guard_for_call(self) -> Guard:
        """The current application's guard."""
        return guard_from()


guard: Final = ApplicationGuard()
"""`@guard.requires_feature(...)` and its like, for functions that are no views."""
