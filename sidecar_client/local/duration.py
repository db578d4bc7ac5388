"""A duration as ISO 8601 writes it, on a calendar: a month is a month, not thirty days.

Reading one and adding it to a time live here; moving a clock by it does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from sidecar_client.local.periods import add_months

_NUMBER: Final = r"\d{1,12}"
_FORM: Final = re.compile(
    rf"(?P<sign>[+-]?)P(?=.)"
    rf"(?:(?P<years>{_NUMBER})Y)?(?:(?P<months>{_NUMBER})M)?"
    rf"(?:(?P<weeks>{_NUMBER})W)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?=.)(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?"
    rf"(?:(?P<seconds>{_NUMBER}(?:[.,]\d{{1,9}})?)S)?)?",
    re.ASCII,
)
_CLOCK_PARTS: Final = ("weeks", "days", "hours", "minutes", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """So many months, and then so much time."""

    months: int
    time: timedelta
    text: str
    """As it was written."""

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The duration that a text such as `P1Y2M3DT4H` says; None if it says none.

        Raises `OverflowError` for one that no calendar holds.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        sign = -1 if match["sign"] == "-" else 1
        months = int(match["years"] or 0) * 12 + int(match["months"] or 0)
        parts = {
            name: float((match[name] or "0").replace(",", ".")) for name in _CLOCK_PARTS
        }
        return cls(months=sign * months, time=sign * timedelta(**parts), text=text)

    def after(self, moment: datetime) -> datetime:
        """The time that is this much later; the month's last day where it is shorter.

        Raises `OverflowError` where that is beyond the calendar.
        """
        try:
            return add_months(moment, self.months) + self.time
        except ValueError:
            raise OverflowError(f"{self.months} months") from None
