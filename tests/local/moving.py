"""A store that changes between one reading and the next."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar_client.local.metering import Reporter
from sidecar_client.local.stores.base import Entry
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb


class Moving(MemoryStore):
    """A store in which usage is reported as soon as any was read, once."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None

    async def read(self, names: Sequence[str]) -> list[Entry]:
        """What is asked for, before anything moves."""
        found = await super().read(names)
        world = self.world
        if world and any(name.startswith(("usage/", "wallet/")) for name in names):
            self.world = None
            report = pb.ReportUsageRequest(customer_id="c", feature_id="calls", value=5)
            await Reporter(world).report([report])
        return found
