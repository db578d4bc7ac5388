"""What is aimed at, and whether this run met it.

An aim is met or it is not: noise is no excuse, and the reason stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bench.in_process import Cost
from bench.one_check import FAST, LOCAL, Checks
from bench.report import table
from bench.rounds import Ratio, Rounds
from bench.web import FRAMEWORKS

Web = dict[tuple[str, int], Rounds]
_RAW: Final = {"Stigg": "raw aio", "SyncStigg": "raw sync"}
_VENDOR: Final = {
    "Starlette": (("vendor", 4.0),),
    "Flask": (("vendor", 2.5), ("vendor, own thread", None)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One aim, what was measured, and why it may fall short; no bound: shown only."""

    what: str
    measured: float
    bound: float | None
    direction: Literal["at most", "at least"]
    shown: str
    reason: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it was met; None where nothing is aimed at."""
        if self.bound is None:
            return None
        if self.direction == "at most":
            return self.measured <= self.bound
        return self.measured >= self.bound


def aims(checks: Checks, web: Web, costs: list[Cost]) -> list[Aim]:
    """Every aim, in the order of the tables."""
    return [*_check_aims(checks), *_local_aims(checks), *_web_aims(web), *_costs(costs)]


def _ratio(
    what: str,
    found: Ratio,
    direction: Literal["at most", "at least"],
    bound: float | None,
    reason: str = "",
) -> Aim:
    return Aim(
        what=what,
        measured=found.median,
        bound=bound,
        direction=direction,
        shown=str(found),
        reason=reason,
    )


def _check_aims(checks: Checks) -> Iterator[Aim]:
    def of(in_flight: int, client: str, to: str, figure: str) -> Ratio:
        return checks.rounds[FAST, in_flight].ratio(client, to, figure)

    for client, bound in (("Stigg", 0.6), ("SyncStigg", 0.45)):
        what = f"{client}: p50 by the vendor stack's, 1 in flight"
        yield _ratio(what, of(1, client, "vendor", "p50"), "at most", bound)
    what = "Stigg: throughput by the vendor stack's, 64 in flight"
    yield _ratio(what, of(64, "Stigg", "vendor", "rate"), "at least", 6)
    for client, raw in _RAW.items():
        for in_flight in (1, 16, 64):
            what = f"{client}: throughput by raw grpcio's, {in_flight} in flight"
            ratio, why = _pair(checks.rounds[FAST, in_flight], client, raw)
            yield _ratio(what, ratio, "at least", 0.9, why)


def _local_aims(checks: Checks) -> Iterator[Aim]:
    found = checks.rounds[LOCAL, 16]
    for client, raw in _RAW.items():
        most = found.ratio(raw, "vendor", "rate")
        yield _ratio(
            f"{client}: throughput by the vendor stack's, local sidecar, 16 in flight",
            found.ratio(client, "vendor", "rate"),
            "at least",
            2,
            f"raw grpcio reaches {most.median:.2f} here: the sidecar, itself in Python "
            "on the same cores, is the limit",
        )


def _web_aims(web: Web) -> Iterator[Aim]:
    for name in FRAMEWORKS:
        found = web[name, 16]
        what = f"{name}: guarded view by the view that calls the client by hand"
        ratio, why = _pair(found, "guarded", "by hand")
        yield _ratio(what, ratio, "at least", 0.95, why)
    for name, vendors in _VENDOR.items():
        for vendor, bound in vendors:
            what = f"{name}: guarded view by the {vendor} stack's guard"
            ratio, most = (
                web[name, 16].ratio(each, vendor, "rate")
                for each in ("guarded", "by hand")
            )
            why = f"our client called by hand reaches {most.median:.2f}"
            yield _ratio(what, ratio, "at least", bound, why)
    for name in FRAMEWORKS:
        what = f"{name}: view with a remembered decision by the bare view"
        ratio, why = _pair(web[name, 16], "remembered", "bare")
        yield _ratio(what, ratio, "at least", 0.9, why)


def _pair(found: Rounds, name: str, to: str) -> tuple[Ratio, str]:
    return found.ratio(name, to, "rate"), _added(found, name, to)


def _added(found: Rounds, name: str, to: str) -> str:
    """How much processor time comes on top of what it is compared with."""
    own, other = found.median(name, "cpu"), found.median(to, "cpu")
    return f"{own:.0f} µs of CPU each, {own - other:+.0f} to the other's {other:.0f}"


def _costs(costs: list[Cost]) -> Iterator[Aim]:
    for cost in costs:
        is_guard = cost.name.startswith("guard")
        measured = cost.added if is_guard else cost.total
        yield Aim(
            what=f"{cost.name}, µs",
            measured=measured,
            bound=25 if is_guard else 2,
            direction="at most",
            shown=f"{measured:.2f}",
        )


def aim_table(found: list[Aim]) -> str:
    """The aims as Markdown, and how many were met."""
    words = {True: "met", False: "**not met**", None: ""}
    rows = [
        [
            aim.what,
            "" if aim.bound is None else f"{aim.direction} {aim.bound:g}",
            aim.shown,
            words[aim.met],
            aim.reason if aim.met is False else "",
        ]
        for aim in found
    ]
    counted = [aim.met for aim in found if aim.met is not None]
    shown = table(["what", "aim", "measured", "", "why not"], rows)
    return f"{shown}\n{sum(counted)} of {len(counted)} aims were met.\n"


def cost_table(costs: list[Cost]) -> str:
    """The costs in process as Markdown."""
    rows = [
        [
            *(cost.name, f"{cost.total:.2f}", cost.beside, f"{cost.without:.2f}"),
            f"{cost.added:.2f}",
        ]
        for cost in costs
    ]
    return table(["what", "µs", "beside", "µs", "added µs"], rows)
