"""Interleaved slices: every variant runs there and back again in every round.

A drift of the machine within a round then hits all alike. Ratios are made within a
round and their median is taken; medians of different rounds are never divided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TypeAlias

Figures: TypeAlias = Mapping[str, float]
Round: TypeAlias = Mapping[str, Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A paired ratio: its median over the rounds, and its extremes."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.least:.2f}..{self.most:.2f}]"


@dataclass(slots=True)
class Rounds:
    """The figures of one contest, round by round, by variant."""

    rounds: list[Round] = field(default_factory=list[Round])

    def median(self, name: str, figure: str) -> float:
        """The middle of one figure over the rounds."""
        return median(each[name][figure] for each in self.rounds)

    def ratio(self, name: str, to: str, figure: str) -> Ratio:
        """One variant's figure by another's, paired within each round."""
        pairs = [each[name][figure] / each[to][figure] for each in self.rounds]
        return Ratio(median=median(pairs), least=min(pairs), most=max(pairs))


def run_rounds(
    names: Sequence[str],
    count: int,
    run: Callable[[str], Figures],
    progress: Callable[[str], None],
    *,
    there_and_back: bool = True,
) -> Rounds:
    """Run `count` rounds; each begins with another variant, to favour none."""
    result = Rounds()
    for number in range(count):
        progress(f"round {number + 1} of {count}")
        first = number % len(names)
        there = [*names[first:], *names[:first]]
        slices: dict[str, list[Figures]] = {name: [] for name in names}
        for name in (*there, *reversed(there if there_and_back else ())):
            slices[name].append(run(name))
        result.rounds.append({name: _mean(each) for name, each in slices.items()})
    return result


def _mean(slices: list[Figures]) -> Figures:
    return {figure: fmean(each[figure] for each in slices) for figure in slices[0]}
