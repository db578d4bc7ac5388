"""The asyncio transport over grpc.aio.

What an error means is decided in `grpc_errors`.
"""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio

from sidecar_client.errors import ConfigurationError, SidecarTimeout
from sidecar_client.grpc_channel import ChannelSettings, check_fork
from sidecar_client.grpc_errors import closed, error_of, no_turn
from sidecar_client.processes import belongs_to_this_process, inherited


class AsyncGrpcTransport:
    """One channel, for the event loop that runs while it is made."""

    def __init__(self, settings: ChannelSettings) -> None:
        _check_fork()
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._places = asyncio.Semaphore(settings.max_in_flight)
        self._in_flight = 0
        self._is_closed = False
        belongs_to_this_process(self)

    @property
    def is_open(self) -> bool:
        """Whether there is a channel now; grpc.aio runs while there is one."""
        return self._channel is not None

    async def call(self, method: str, request: bytes, timeout: float) -> bytes:
        """Return the answer, or raise a `SidecarError`."""
        left = timeout
        if self._places.locked():
            left = await self._wait_for_a_place(method, timeout)
        else:
            # Never suspends, as the semaphore is not locked.
            await self._places.acquire()
        self._in_flight += 1
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
        finally:
            self._in_flight -= 1
            self._places.release()

    async def aclose(self) -> None:
        """Cancel the calls in flight and close the channel."""
        self._is_closed = True
        if self._channel is not None:
            await self._channel.close()

    def pause(self) -> None:
        """Drop an idle channel: a child forked beside grpc.aio could never use it."""
        if self._loop.is_closed() or (self._in_flight == 0 and self._is_ours()):
            self._methods.clear()
            self._channel = None

    def resume(self) -> None:
        """Do nothing: the next call opens a channel."""

    def _is_ours(self) -> bool:
        """Tell whether no other thread runs the loop now."""
        if not self._loop.is_running():
            return True
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

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

    def _no_turn(self, method: str, timeout: float) -> SidecarTimeout:
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
            if self._is_closed:
                raise closed(method, self._settings.target)
            if self._channel is None:
                self._channel = _open(self._settings)
            known = self._methods[method] = self._channel.unary_unary(method)
        return known


def _check_fork() -> None:
    check_fork()
    for left in inherited():
        if isinstance(left, AsyncGrpcTransport) and left.is_open:
            raise ConfigurationError(
                "this process was forked while its parent's event loop was asking the "
                "sidecar, so asyncio calls would hang; use SyncStigg here, start the "
                "process by spawn, or make the first call after the fork."
            )


def _cancelled_by_the_caller() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _open(settings: ChannelSettings) -> grpc.aio.Channel:
    if settings.credentials is None:
        return grpc.aio.insecure_channel(settings.target, options=settings.options)
    return grpc.aio.secure_channel(
        settings.target, settings.credentials, options=settings.options
    )
