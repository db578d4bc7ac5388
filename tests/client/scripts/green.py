"""A program patched by gevent: prints how ten calls of 0.2 s and the hub get on.

`python -m tests.client.scripts.green TARGET`
"""

from __future__ import annotations

from gevent import monkey  # type: ignore[import-untyped] # has no types

monkey.patch_all()

import asyncio  # noqa: E402 (after the patching, as in a patched worker)
import sys  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
from gevent.pool import Pool  # type: ignore[import-untyped] # noqa: E402

from sidecar_client import ConfigurationError, Stigg, SyncStigg  # noqa: E402
from tests.client.servers import QUESTION  # noqa: E402

synchronous = SyncStigg(target=sys.argv[1], timeout=10)
ticks = 0


def tick() -> None:
    global ticks  # counted while the calls are in flight
    while True:
        ticks += 1
        gevent.sleep(0.01)


def ask(_: int) -> bool:
    return synchronous.get_entitlement(QUESTION).has_access


ask(0)
ticker = Pool(1)
ticker.spawn(tick)
begin = time.monotonic()
answers = Pool(10).map(ask, range(10))
print(all(answers), time.monotonic() - begin, ticks)
ticker.kill()

try:
    asyncio.run(Stigg(target=sys.argv[1]).get_entitlement(QUESTION))
except ConfigurationError as error:
    print(error)
synchronous.close()
