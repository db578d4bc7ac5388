"""The seam of the client: bytes and a deadline in, bytes or an error out.

What the bytes mean does not live here, nor which wire carries them.
"""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """A wire to one sidecar, for any number of threads."""

    def call(self, method: str, request: bytes, timeout: float) -> bytes:
        """Return the answer of `method`, a full path such as `/package.Service/Name`.

        `timeout` is in seconds and more than 0. Raises a `SidecarError`, and nothing
        else, when there is no answer.
        """
        ...

    def close(self) -> None:
        """End the calls in flight with `SidecarUnavailable`. Closing twice is fine."""
        ...


class AsyncTransport(Protocol):
    """A wire to one sidecar, for one event loop."""

    async def call(self, method: str, request: bytes, timeout: float) -> bytes:
        """Return the answer of `method`, as `Transport.call` does.

        A cancelled caller cancels the call and sees `asyncio.CancelledError`.
        """
        ...

    async def aclose(self) -> None:
        """End the calls in flight with `SidecarUnavailable`. Closing twice is fine."""
        ...
