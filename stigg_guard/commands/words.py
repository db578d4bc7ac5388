"""How numbers, times and other people's text are shown to a person.

What is shown is said where it is shown.
"""

from __future__ import annotations

from datetime import UTC, datetime
from unicodedata import category, east_asian_width


def age(seconds: float) -> str:
    """How long, in the unit that suits it: `7 s`, `12 min`, `3.5 h`, `6 d`."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3_600:
        return f"{int(seconds / 60)} min"
    if seconds < 86_400:
        return f"{seconds / 3_600:.1f} h"
    return f"{int(seconds / 86_400)} d"


def counted(number: int, what: str) -> str:
    """A number of things: `1 row`, `1,200 rows`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as a date and time of UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def units(value: float) -> str:
    """Units without needless digits."""
    return f"{value:,.15g}"


def printable(text: str) -> str:
    """Text that does nothing to a terminal: what cannot be seen is spelled out."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def fitted(text: str, width: int) -> str:
    """Printable text in exactly so many columns; `...` stands for what is cut off."""
    text = printable(text)
    if columns(text) > width:
        text = f"{_cut(text, width - 3)}..."
    return text + " " * (width - columns(text))


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(sign: str) -> int:
    if category(sign) in ("Mn", "Me"):  # an accent upon the sign before it
        return 0
    return 2 if east_asian_width(sign) in "WF" else 1


def _cut(text: str, width: int) -> str:
    kept = ""
    for sign in text:
        width -= _columns(sign)
        if width < 0:
            break
        kept += sign
    return kept
