"""The decorators for functions of a Django project: jobs, commands, resolvers.

Those of views, which know their request, are in `views`.
"""

from __future__ import annotations

from typing import Final

from stigg_guard import Guard
from stigg_guard.function_decorators import FunctionDecorators
from stigg_guard_django.apps import guard_from


class ProjectGuard(FunctionDecorators):
    """Guards functions by the settings of the project, which it reads when called."""

    def guard_for_call(self) -> Guard:
        """The project's guard."""
        return guard_from()


guard: Final = ProjectGuard()
"""`@guard.requires_feature(...)` and its like, for functions that are no views."""
