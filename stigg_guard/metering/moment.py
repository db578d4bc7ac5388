"""Moments as a user gives them, and as they are reported: aware, in UTC.

What is stamped with them lives in `measurement`.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import Final

_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)


class NaiveTimestampWarning(UserWarning):
    """A timestamp came without a zone and was taken as UTC; warned of once."""


def as_moment(name: str, value: object) -> datetime:
    """A moment in UTC; a naive one is taken as UTC, with a warning once.

    Raises `ValueError` for what is no datetime, or cannot be told in UTC.
    """
    if not isinstance(value, datetime):
        raise ValueError(
            f"{name} is {value!r}; give a datetime, such as datetime.now(UTC), or"
            " leave it out for now."
        )
    if value.utcoffset() is None:
        _warn_once(name)
        value = value.replace(tzinfo=UTC)
    try:
        moment = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{name} is {value}, which is no moment in UTC.") from error
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError(f"{name} is {value}; give a time of the years 1 to 9999.")
    return moment


_warned = False


def _warn_once(name: str) -> None:
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"{name} has no zone and is taken as UTC; give an aware datetime, such as"
        " datetime.now(UTC).",
        NaiveTimestampWarning,
        stacklevel=4,
    )
