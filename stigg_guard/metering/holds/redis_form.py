"""What a step looks like as calls of the script in `ledger.lua`, and back.

It does no I/O: `conversation` yields calls and receives the script's replies.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from math import nan
from struct import Struct
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast
from urllib.parse import quote

from stigg_guard.metering.holds.base import (
    ORPHANED_FOR,
    REMEMBERED_FOR,
    STORED_FOR,
    Fence,
    GiveBack,
    HoldsUnavailable,
    Keep,
    Lift,
    Op,
    Peek,
    Place,
    Renew,
    Settle,
    Standing,
    Take,
    Taken,
    Want,
    by_customer,
)

Argument: TypeAlias = str | float | bytes
Refusal: TypeAlias = Literal["used", "held", "fenced"]


_OfOnePlace: TypeAlias = Peek | Settle | GiveBack | Renew | Keep | Fence | Lift


_TIMES: Final = {
    "REMEMBERED_FOR": REMEMBERED_FOR,
    "STORED_FOR": STORED_FOR,
    "ORPHANED_FOR": ORPHANED_FOR,
}


_DOUBLES: Final = {count: Struct(f"<{count}d") for count in (3, 4)}


class Call(NamedTuple):
    """One run of the script."""

    keys: tuple[str, ...]
    arguments: tuple[Argument, ...]


def script() -> str:
    """The text of the script, with its times put in."""
    text = files("stigg_guard.metering.holds").joinpath("ledger.lua").read_text("utf-8")
    for name, seconds in _TIMES.items():
        text = text.replace(f"${name}", repr(seconds))
    return text


@lru_cache(maxsize=4096)
def keys_of(place: Place, prefix: str) -> tuple[str, str]:
    """A place's keys; all of one customer are on one node of a cluster."""
    customer, feature = _part(place.customer_id), _part(place.feature_id)
    resource = "" if place.resource_id is None else _part(place.resource_id)
    name = f"{prefix}:holds:{{{customer}}}:{resource}:{feature}"
    return name, f"{name}:leases"


def only_call(op: Op, prefix: str) -> Call | None:
    """The call that alone carries a step out; None where it may take several."""
    if not isinstance(op, Take):
        return _call(op, prefix)
    return _take_call(op.wants, op.lease, prefix) if len(op.wants) == 1 else None


def reply_to(op: Op, reply: Any) -> object:
    """The step's reply, from that to its only call."""
    return _taken(reply, op.wants) if isinstance(op, Take) else _reply(op, reply)


def conversation(op: Op, prefix: str) -> Generator[Call, Any, object]:
    """The calls that carry a step out; returns the step's reply."""
    call = only_call(op, prefix)
    if call is not None:
        return reply_to(op, (yield call))
    assert isinstance(op, Take)
    return (yield from _take(op, prefix))


def _take(op: Take, prefix: str) -> Generator[Call, Any, Taken]:
    taken, held = Taken(), list[Want]()
    try:
        for wants in by_customer(op.wants).values():
            reply = yield _take_call(wants, op.lease, prefix)
            taken = _taken(reply, wants)
            if not taken.granted:
                break
            held.extend(_newly_held(reply, wants))
    except HoldsUnavailable:
        yield from _give_back(held, prefix)
        raise
    if not taken.granted:
        yield from _give_back(held, prefix)
    return taken


def _give_back(held: Sequence[Want], prefix: str) -> Generator[Call, Any, None]:
    # What cannot be given back now runs out by itself.
    with suppress(HoldsUnavailable):
        for want in held:
            yield from conversation(
                GiveBack(place=want.place, keys=(want.key,)), prefix
            )


def _take_call(wants: Iterable[Want], lease: float, prefix: str) -> Call:
    keys, arguments = list[str](), list[Argument]()
    for want in wants:
        keys += keys_of(want.place, prefix)
        numbers = _numbers(want.units, want.limit, want.usage, want.period)
        fresh = b"1" if want.is_fresh else b"0"
        arguments += (want.key, numbers + fresh + want.update.encode())
    return _named("take", keys, lease, *arguments)


def _call(op: _OfOnePlace, prefix: str) -> Call:
    keys = keys_of(op.place, prefix)
    match op:
        case Peek():
            return _named("peek", keys)
        case Settle():
            used = _numbers(op.units, op.young_for, op.total, op.period)
            return _named("settle", keys, op.key, used + op.update.encode())
        case GiveBack():
            return _named("give_back", keys, *op.keys)
        case Renew():
            flat = [part for pair in op.units for part in pair]
            return _named("renew", keys, op.lease, _or_nothing(op.period), *flat)
        case Keep():
            kept = _numbers(op.units, op.lease, op.period)
            only = b"%d%d" % (op.only_if_lost, op.only_if_open)
            return _named("keep", keys, op.key, kept + only + op.mode.encode())
        case Fence():
            return _named("fence", keys, op.token, op.lease)
        case Lift():
            total = _or_nothing(op.total)
            return _named("lift", keys, op.token, total, op.young_for)


def _named(name: str, keys: Sequence[str], *arguments: Argument) -> Call:
    return Call(tuple(keys), (name, *arguments))


def _reply(op: Op, reply: Any) -> object:
    match op:
        case Peek():
            return _standing(reply)
        case Fence():
            return None if reply is None else _fenced(*reply)
        case Keep():
            return bool(reply)
        case _:
            return None


def _taken(reply: bytes | str, wants: Sequence[Want]) -> Taken:
    refusal, index, counted, held, _ = _parts(reply)
    return Taken(
        refusal=cast("Refusal", refusal) if refusal else None,
        refused=wants[int(index) - 1].place if refusal else None,
        counted=float(counted),
        held=float(held),
    )


def _newly_held(reply: bytes | str, wants: Sequence[Want]) -> list[Want]:
    newly = _parts(reply)[-1]
    return [wants[int(index) - 1] for index in newly.split(",")] if newly else []


def _parts(reply: bytes | str) -> list[str]:
    text = reply.decode() if isinstance(reply, bytes) else reply
    return text.split("|")


def _standing(reply: bytes | str) -> Standing:
    counted, held, is_open, doubtful, expected, period = _parts(reply)
    return Standing(
        counted=float(counted),
        held=float(held),
        open=int(is_open),
        doubtful=int(doubtful),
        expected=float(expected) if expected else None,
        period=float(period) if period else None,
    )


def _fenced(reply: bytes | str, doubts: Sequence[bytes | str]) -> Standing:
    texts = [part.decode() if isinstance(part, bytes) else part for part in doubts]
    found = zip(texts[::2], map(float, texts[1::2]), strict=True)
    return replace(_standing(reply), doubts=tuple(sorted(found)))


def _numbers(*numbers: float | None) -> bytes:
    doubles = _DOUBLES[len(numbers)]
    return doubles.pack(*[nan if one is None else one for one in numbers])


def _or_nothing(number: float | None) -> Argument:
    return "" if number is None else number


def _part(text: str) -> str:
    # An empty hash tag would be none; "%" alone is no other text's form.
    return quote(text, safe="") or "%"
