"""The kill switch: whether the application guards anything at the moment.

What a guard that is switched off lets through is said in `flow` and `guard`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger("stigg_guard")


class KillSwitch:
    """`ENABLED`, looked at again and again; a line in the log when it changes.

    A function that fails, or answers anything but True or False, changes nothing: what
    it said before still holds, and on is what holds at first.
    """

    def __init__(self, enabled: bool | Callable[[], bool]) -> None:
        self.is_fixed_on = enabled is True
        self._enabled = enabled
        self._was_on = True
        self._is_broken = False

    def is_off(self) -> bool:
        """Whether nothing is to be asked, denied, held or reported just now."""
        if self.is_fixed_on:
            return False
        is_on = self._enabled if isinstance(self._enabled, bool) else self._asked()
        if is_on is not self._was_on:
            self._was_on = is_on
            self._tell(is_on)
        return not is_on

    def _asked(self) -> bool:
        assert callable(self._enabled)
        try:
            found: object = self._enabled()
            if not isinstance(found, bool):
                raise TypeError(f"it returned {found!r}; return True or False")
        except Exception:
            if not self._is_broken:
                state = "on" if self._was_on else "off"
                logger.exception(
                    "ENABLED %r failed; the guard stays %s.", self._enabled, state
                )
            self._is_broken = True
            return self._was_on
        self._is_broken = False
        return found

    def _tell(self, is_on: bool) -> None:
        if is_on:
            logger.warning("The guard is on again (ENABLED).")
        else:
            logger.warning(
                "The guard is off (ENABLED): requests pass unasked, and what they use"
                " is not reported."
            )
