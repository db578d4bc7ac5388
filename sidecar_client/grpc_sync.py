"""The synchronous transport over grpcio.

What an error means is decided in `grpc_errors`.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Final, cast

import grpc

from sidecar_client.grpc_channel import ChannelSettings, check_fork
from sidecar_client.grpc_errors import closed, error_of, no_turn
from sidecar_client.processes import belongs_to_this_process

_LONGEST_PAUSE: Final = 1.0


class GrpcTransport:
    """One channel, for any number of threads."""

    def __init__(self, settings: ChannelSettings) -> None:
        check_fork()
        self._settings = settings
        self._channel = _open(settings)
        # A queue of places, not a semaphore: this one costs threads next to nothing.
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(settings.max_in_flight):
            self._places.put(None)
        self._flows = threading.Event()
        self._flows.set()
        self._paused_places = 0
        self._methods: dict[str, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        belongs_to_this_process(self)

    def call(self, method: str, request: bytes, timeout: float) -> bytes:
        """Return the answer, or raise a `SidecarError`."""
        left = timeout
        if not (self._flows.is_set() and self._take_place(0)):
            left = self._wait_for_a_place(method, timeout)
        try:
            return self._multicallable(method)(request, timeout=left)
        except grpc.RpcError as failure:
            raise error_of(
                # What grpcio raises from a call is a Call as well; its types hide it.
                cast("grpc.Call", failure),
                method=method,
                target=self._settings.target,
                timeout=timeout,
            ) from failure
        except ValueError as failure:
            # grpcio says so when the channel was closed by another thread.
            raise closed(method, self._settings.target) from failure
        finally:
            self._places.put(None)

    def close(self) -> None:
        """Cancel the calls in flight and close the channel."""
        self._channel.close()

    def pause(self) -> None:
        """Let the calls in flight end: a child forked amid one could never call."""
        self._flows.clear()
        give_up = time.monotonic() + _LONGEST_PAUSE
        for _ in range(self._settings.max_in_flight):
            left = max(0.0, give_up - time.monotonic())
            self._paused_places += self._take_place(left)

    def resume(self) -> None:
        """Let calls through again."""
        for _ in range(self._paused_places):
            self._places.put(None)
        self._paused_places = 0
        self._flows.set()

    def _wait_for_a_place(self, method: str, timeout: float) -> float:
        give_up = time.monotonic() + timeout
        self._flows.wait(timeout)
        taken = self._take_place(max(0.0, give_up - time.monotonic()))
        left = give_up - time.monotonic()
        if taken and left > 0:
            return left
        if taken:
            self._places.put(None)
        raise no_turn(
            method,
            self._settings.target,
            timeout=timeout,
            max_in_flight=self._settings.max_in_flight,
        )

    def _take_place(self, wait: float) -> bool:
        try:
            if wait > 0:
                self._places.get(timeout=wait)
            else:
                self._places.get_nowait()
        except queue.Empty:
            return False
        return True

    def _multicallable(self, method: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
        known = self._methods.get(method)
        if known is None:
            known = self._methods[method] = self._channel.unary_unary(method)
        return known


def _open(settings: ChannelSettings) -> grpc.Channel:
    if settings.credentials is None:
        return grpc.insecure_channel(settings.target, options=settings.options)
    return grpc.secure_channel(
        settings.target, settings.credentials, options=settings.options
    )
