"""Values and messages as people are shown them: readable, and never too long.

Only shortening lives here; what is said, and to whom, does not.
"""

from __future__ import annotations

from reprlib import Repr

MOST_VALUE = 60
_MOST_DIGITS = 40


class _Short(Repr):
    """Looks only at the first parts of what it writes down."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = MOST_VALUE

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write out, and takes long for, a very long integer."""
        del level
        digits = int(x.bit_length() * 0.30103) + 1
        return repr(x) if digits <= _MOST_DIGITS else f"an integer of {digits} digits"


class _Written(_Short):
    """Writes down what a file or a request says as they do."""

    def repr_bool(self, x: object, level: int) -> str:
        del level
        return "true" if x else "false"

    def repr_float(self, x: float, level: int) -> str:
        del level
        return repr(x).replace("nan", "NaN").replace("inf", "Infinity")

    def repr_NoneType(self, x: object, level: int) -> str:
        del x, level
        return "null"


_SHORT = _Short()
_WRITTEN = _Written()


def shown(value: object) -> str:
    """The value as Python writes it, or its beginning and end."""
    return limited(_SHORT.repr(value), MOST_VALUE)


def written(value: object) -> str:
    """The same with `true`, `false` and `null`, as YAML and JSON have them."""
    return limited(_WRITTEN.repr(value), MOST_VALUE)


def limited(text: str, most: int) -> str:
    """The text, cut in its middle to at most `most` characters."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 3]}...{text[-tail:]}"


def printable(text: str) -> str:
    """The text, with what no terminal or file could take written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible(text: str) -> str:
    """The text on one line, with what a terminal would obey written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in text
    )
