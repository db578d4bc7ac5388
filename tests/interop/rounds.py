"""The comparisons themselves: a peer against our sidecar, our clients against theirs.

Each gives the number of calls and what differed. Nothing is installed or printed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar_client.local import LocalSidecar
from tests.interop import world
from tests.interop.calls import Call, Result
from tests.interop.comparing import differences
from tests.interop.echo import Arrived, EchoServer, Step, sent, steps
from tests.interop.expected import about_the_server
from tests.interop.node_sidecar import NodeSidecar
from tests.interop.ours import sync_results

Caller = Callable[[str, Sequence[Call]], list[Result]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many calls were compared, and one line for each difference."""

    calls: int
    differences: list[str]


def against_local_sidecar(caller: Caller) -> Outcome:
    """Compare what a caller gets of the local sidecar with what `SyncStigg` gets."""
    script = world.calls()
    ours = [call for call in script if call.operation == "call"]
    with LocalSidecar(world.CATALOG, clock=world.clock) as sidecar:
        expected = [*about_the_server(script), *sync_results(sidecar.target, ours)]
    with LocalSidecar(world.CATALOG, clock=world.clock) as sidecar:
        got = caller(sidecar.target, script)
    return Outcome(calls=len(script), differences=differences(expected, got))


def on_the_wire(caller: Caller) -> Outcome:
    """Compare what arrives of a caller's requests, and what it reads of answers."""
    script = steps()
    with EchoServer(script) as server:
        got = caller(server.target, [step.call for step in script])
        arrived = server.arrived()
    return _compared(script, got, arrived)


def with_node_as_sidecar(caller: Caller) -> Outcome:
    """The same, with our client as the caller and a server written in Node."""
    script = steps()
    with NodeSidecar(script) as sidecar:
        got = caller(sidecar.target, [step.call for step in script])
    return _compared(script, got, sidecar.arrived)


def _compared(
    script: Sequence[Step], got: Sequence[Result], arrived: Sequence[Arrived]
) -> Outcome:
    return Outcome(
        calls=len(script),
        differences=[
            *differences([step.result for step in script], got),
            *differences(_as_results(sent(script)), _as_results(arrived)),
        ],
    )


def _as_results(requests: Sequence[Arrived]) -> list[Result]:
    return [
        Result(
            name=f"request {number} of {request.method}",
            status="OK",
            response=request.request,
        )
        for number, request in enumerate(requests)
    ]
