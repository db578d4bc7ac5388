"""JSON to plain values, with errors in words of who wrote it.

Only reading lives here; what the values must say does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class NotJson(ValueError):
    """What is wrong with a text, and where, if that is known."""

    def __init__(self, problem: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column

    def __str__(self) -> str:
        """The problem with its place."""
        if not self.line:
            return self.problem
        return f"{self.problem} at line {self.line}, column {self.column}"


def read_json(
    text: str | bytes,
    *,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    constant: Callable[[str], Any] | None = None,
) -> object:
    """What a text says, in UTF-8 where it is bytes. Raises `NotJson`.

    `pairs` makes an object of its names and values, `constant` a number of `NaN`.
    """
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(decoded, object_pairs_hook=pairs, parse_constant=constant)
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise NotJson(error.msg, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except ValueError:
        raise NotJson("it has a number of too many digits") from None
