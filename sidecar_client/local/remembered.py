"""Answers to checks, kept until the catalog, the customer, usage or time changes them.

When such an answer still holds lives here; how it is found does not.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

from google.protobuf.message import Message

from sidecar_client.local.answers import ANSWERS
from sidecar_client.local.customers import Customer
from sidecar_client.local.evaluation import Verdict
from sidecar_client.local.questions import FeatureRequest
from sidecar_client.local.records import DEFINITIONS, customer_key
from sidecar_client.local.service import SidecarService
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb

MOST: Final = 4096
"""How many are kept; for one more, the oldest is forgotten."""
MOST_BYTES: Final = 4096
"""What is larger, of requests and answers, is found anew each time."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


class Known(NamedTuple):
    """An answer, the records that it was found from, and the time that it holds."""

    request: Message
    answer: Message
    names: tuple[str, ...]
    versions: list[int]
    since: datetime
    until: datetime


class Remembered:
    """Answers to checks that were asked before, while nothing changes them.

    Only of a store in memory: to read another takes longer than to decide. Such a store
    answers at once, so that nothing comes between one reading and the next.
    """

    def __init__(
        self, world: World, service: SidecarService, *, most: int = MOST
    ) -> None:
        self._world = world
        self._service = service
        self._most = most if type(world.store) is MemoryStore else 0
        # What was asked once has no answer here: most of that never comes again.
        self._known: dict[tuple[str, bytes], Known | None] = {}

    def __len__(self) -> int:
        return len(self._known)

    async def find(self, method: str, sent: bytes) -> Known | None:
        """What these bytes were answered, if that still holds."""
        known = self._known.get((method, sent))
        if known is None:
            return None
        entries = await self._world.store.read(known.names)
        is_of_now = known.since <= self._world.clock() < known.until
        is_same = [entry.version for entry in entries] == known.versions
        return known if is_of_now and is_same else None

    def takes(self, request: Message, sent: bytes) -> bool:
        """Whether the answer to such a request may be kept."""
        if not self._most or len(sent) > MOST_BYTES or type(request) not in ANSWERS:
            return False
        # Whether there are credits is asked in the same way.
        return not (
            isinstance(request, pb.GetEntitlementV2Request)
            and (request.HasField("currency_id") or not request.HasField("feature_id"))
        )

    async def answered(self, method: str, sent: bytes, request: Message) -> Message:
        """The answer to a request that it takes; kept from the second time on."""
        now = self._world.clock()
        verdict = await self._service.verdict(cast("FeatureRequest", request))
        answer = ANSWERS[type(request)](request, verdict)
        key = method, sent
        if key not in self._known:
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = None
        elif _is_lasting(verdict) and answer.ByteSize() <= MOST_BYTES:
            await self._keep(key, request, answer, verdict, now)
        return answer

    async def _keep(
        self,
        key: tuple[str, bytes],
        request: Message,
        answer: Message,
        verdict: Verdict,
        now: datetime,
    ) -> None:
        customer_id = cast("FeatureRequest", request).customer_id
        needs = (DEFINITIONS, customer_key(customer_id), *verdict.standing.needs)
        names = tuple(need.name for need in needs)
        entries = await self._world.store.read(names)
        customer = cast("Customer | None", entries[1].record)
        if customer is None or self._world.indexed(entries[0]).has_credit_rates:
            return
        since, until = _stretch(customer, verdict, now)
        if not self._world.clock() < until:
            return
        versions = [entry.version for entry in entries]
        self._known[key] = Known(request, answer, names, versions, since, until)


def _is_lasting(verdict: Verdict) -> bool:
    """Whether it is one, and no time changes it but the turns of its customer.

    Events become visible as time goes by, and budgets have periods of their own.
    """
    standing = verdict.standing
    if verdict.is_fallback or standing.spending is not None:
        return False
    return standing.feature is None or standing.feature.events is None


def _stretch(
    customer: Customer, verdict: Verdict, now: datetime
) -> tuple[datetime, datetime]:
    """From when until when time changes nothing about a verdict."""
    turns = [*customer.turns()]
    if window := verdict.standing.window:
        turns += (window.start, window.end)
    return (
        max((at for at in turns if at <= now), default=_BEGINNING),
        min((at for at in turns if at > now), default=_END),
    )
