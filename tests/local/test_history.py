"""What a counter was before: one total for each minute in which it changed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sidecar_client.local.records import History, Point, Usage, history_key, usage_key
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.conftest import Serve
from tests.local.wire import NOW, Clock, ask

COUNTER = usage_key("c", None, "f", None)


def test_history_has_the_last_total_of_each_earlier_minute(
    serve: Serve, clock: Clock
) -> None:
    sidecar = serve(
        [{"id": "f", "type": "metered", "meter": "incremental"}],
        {"p": {"f": {"unlimited": True}}},
        subscriptions=[{"plan": "p"}],
    )
    request = pb.ReportUsageRequest(customer_id="c", feature_id="f", value=1)

    def report_at(seconds: float) -> History | None:
        clock.now = NOW + timedelta(seconds=seconds)
        ask(sidecar, request)
        return asyncio.run(sidecar.world.read(history_key(COUNTER.name)))

    assert report_at(0) is None
    # A counter that is alone in its minute is written without its history.
    assert report_at(59) is None
    first = Point(at=NOW, total=2)
    assert report_at(60) == report_at(119) == History(points=(first,))
    second = Point(at=NOW + timedelta(minutes=1), total=4)
    assert report_at(300) == History(points=(first, second))
    used = asyncio.run(sidecar.world.read(COUNTER))
    assert used == Usage(total=5, updated=NOW + timedelta(minutes=5))
