"""The local sidecar in a process of its own, with the demo catalog.

`python -m bench.local_server` prints its port and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import sys

from sidecar_client.local import LocalSidecar


async def _serve() -> None:
    async with LocalSidecar() as sidecar:
        print(sidecar.port, flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
