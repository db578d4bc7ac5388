"""The asyncio transport over grpc.aio.

What an error means is decided in `grpc_channel`.
"""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio

from sidecar_client.grpc_channel import (
    ChannelSettings,
    closed,
    error_of,
    no_turn,
)


class AsyncGrpcTransport:
    """One channel, for the event loop that runs while it is made."""

    def __init__(self, settings: ChannelSettings) -> None:
        self._settings = settings
        self._channel = _open(settings)
        self._places = asyncio.Semaphore(settings.max_in_flight)
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._is_closed = False

    async def call(self, method: str, request: bytes, timeout: float) -> bytes:
        """Return the answer, or raise a `SidecarError`."""
        left = timeout
        if self._places.locked():
            left = await self._wait_for_a_place(method, timeout)
        else:
            # Never suspends, as the semaphore is not locked.
            await self._places.acquire()
        try:
            return await self._multicallable(method)(request, timeout=left)
        except grpc.aio.AioRpcError as failure:
            target = self._settings.target
            raise error_of(
                failure, method=method, target=target, timeout=timeout
            ) from failure
        except asyncio.CancelledError as failure:
            if self._is_closed and not _cancelled_by_the_caller():
                raise closed(method, self._settings.target) from failure
            raise
        except grpc.aio.UsageError as failure:
            # grpcio says so when the channel was closed before the call began.
            raise closed(method, self._settings.target) from failure
        finally:
            self._places.release()

    async def aclose(self) -> None:
        """Cancel the calls in flight and close the channel."""
        self._is_closed = True
        await self._channel.close()

    async def _wait_for_a_place(self, method: str, timeout: float) -> float:
        start = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                await self._places.acquire()
        except TimeoutError:
            raise self._no_turn(method, timeout) from None
        left = timeout - (time.monotonic() - start)
        if left <= 0:
            self._places.release()
            raise self._no_turn(method, timeout)
        return left

    def _no_turn(self, method: str, timeout: float) -> Exception:
        return no_turn(
            method,
            self._settings.target,
            timeout=timeout,
            max_in_flight=self._settings.max_in_flight,
        )

    def _multicallable(
        self, method: str
    ) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
        known = self._methods.get(method)
        if known is None:
            known = self._methods[method] = self._channel.unary_unary(method)
        return known


def _cancelled_by_the_caller() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _open(settings: ChannelSettings) -> grpc.aio.Channel:
    if settings.credentials is None:
        return grpc.aio.insecure_channel(settings.target, options=settings.options)
    return grpc.aio.secure_channel(
        settings.target, settings.credentials, options=settings.options
    )
