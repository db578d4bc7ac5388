"""One line of what `doctor` tells: what is so, and what to do about it.

What is looked at is said in `examination`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "warn", "fail"]

CUSTOMER: Final = "stigg-guard-doctor"
"""Whom the doctor asks about; no customer of anybody's."""
FEATURE: Final = "stigg-guard-doctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of what the doctor tells."""

    level: Level
    about: str
    words: str
    cure: str = ""


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level there is."""
    levels = {finding.level for finding in findings}
    order: tuple[Level, ...] = ("fail", "warn", "ok")
    return next(level for level in order if level in levels or level == "ok")
