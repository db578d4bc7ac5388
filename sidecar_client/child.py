"""The local sidecar of a client: got on the first call, and again when it ended.

How its process is found or started lives in `launch`.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from sidecar_client.errors import ConfigurationError, SidecarUnavailable
from sidecar_client.launch import HOST, START_WAIT, attach, name_of
from sidecar_client.lease import Attempt, Lease
from sidecar_client.options import LocalSidecarOptions
from sidecar_client.processes import PerProcess
from sidecar_client.protocol.sidecar_pb2 import LocalSidecarConfig

_PAUSE: Final = 1.0
"""Seconds in which a failure is told again, before another try is made."""

_API: Final = "api"
"""What errors call a request to the management API."""

_logger: Final = logging.getLogger("sidecar_client")


class _Held:
    """The lease of one process, and the way to the next when its sidecar ended."""

    __slots__ = ("attempt", "has_served", "lease", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lease: Lease | None = None
        self.has_served = False
        self.attempt: Attempt | None = None

    def serves(self) -> bool:
        """Whether there is a lease, of a sidecar that lives."""
        return self.lease is not None and self.lease.is_held


class LocalChild:
    """The local sidecar of one client: attached on the first call, in each process.

    Running sidecars are shared, else one is started, in a thread beside the calls. The
    first time they wait until it serves, whatever their deadline, and raise
    `ConfigurationError` with what it said when it cannot. When a sidecar that served
    has ended, they wait for another until their deadline, then raise
    `SidecarUnavailable`.
    """

    def __init__(
        self, options: LocalSidecarOptions, config: LocalSidecarConfig | None
    ) -> None:
        self._options = options
        self._held = PerProcess(_Held)
        _warn_of_ignored(config)

    @property
    def is_attached(self) -> bool:
        """Whether this process holds a lease of a sidecar that lives."""
        return self._held.get().serves()

    def attach(self, method: str, deadline: float) -> float:
        """Wait for the sidecar; return what the call has left of its deadline."""
        held = self._held.get()
        begin = time.monotonic()
        attempt = self._attempt(held)
        if attempt is None:
            return deadline
        attempt.wait(None if attempt.first else deadline)
        return self._left(held, attempt, method, deadline, begin)

    async def attach_in_loop(self, method: str, deadline: float) -> float:
        """Wait as `attach` does, without a thread that waits."""
        held = self._held.get()
        begin = time.monotonic()
        attempt = self._attempt(held)
        if attempt is None:
            return deadline
        await attempt.wait_in_loop(None if attempt.first else deadline)
        return self._left(held, attempt, method, deadline, begin)

    def http_url(self) -> str:
        """Return where it serves HTTP, started or waited for as `attach` does."""
        self.attach(_API, START_WAIT)
        return self._http_url()

    async def http_url_in_loop(self) -> str:
        """Return what `http_url` does, without a thread that waits."""
        await self.attach_in_loop(_API, START_WAIT)
        return self._http_url()

    def _http_url(self) -> str:
        lease = self._held.get().lease
        if lease is None:
            raise SidecarUnavailable(
                method=_API,
                target=f"{HOST}:{self._options.port}",
                cause="the client was closed during the call",
                code="CANCELLED",
            )
        if lease.hello.http is None:
            raise ConfigurationError(
                f"the local sidecar on {lease.hello.target} (pid {lease.hello.pid}) "
                "serves no HTTP, so there is no management API; install what it needs "
                "with: pip install 'stigg-guard[local]'"
            )
        return lease.hello.http

    def release(self) -> None:
        """Give the lease back; the sidecar ends with the last one."""
        held = self._held.get()
        with held.lock:
            lease, held.lease = held.lease, None
            attempt, held.attempt = held.attempt, None
            held.has_served = False
        if attempt is not None:
            attempt.end(closed=True)
        if lease is not None:
            lease.release()

    def _attempt(self, held: _Held) -> Attempt | None:
        """Return the attempt to wait for, None when there is a sidecar."""
        with held.lock:
            if held.serves():
                return None
            attempt = held.attempt
            if attempt is None or attempt.is_spent(_PAUSE):
                attempt = held.attempt = Attempt(first=not held.has_served)
                self._begin(held, attempt)
            return attempt

    def _begin(self, held: _Held, attempt: Attempt) -> None:
        thread = threading.Thread(target=self._try, args=(held, attempt), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            attempt.end(failure=f"{name_of(self._options)} needs a thread: {error}.")

    def _try(self, held: _Held, attempt: Attempt) -> None:
        name = name_of(self._options)
        lease = None
        failure: str | None = f"starting {name} failed; stderr says why."
        try:
            lease = attach(self._options)
            failure = None
        except ConfigurationError as error:
            failure = str(error)
        except (OSError, RuntimeError) as error:
            failure = f"{name} cannot be started or reached: {error}."
        finally:
            with held.lock:
                is_wanted = held.attempt is attempt
                if lease is not None and is_wanted:
                    held.lease, held.has_served = lease, True
            if lease is not None and not is_wanted:
                # The client was closed meanwhile: nobody would ever give it back.
                lease.release()
            attempt.end(failure=failure)

    def _left(
        self, held: _Held, attempt: Attempt, method: str, deadline: float, begin: float
    ) -> float:
        if attempt.first and attempt.failure is not None:
            raise ConfigurationError(attempt.failure)
        left = deadline if attempt.first else deadline - (time.monotonic() - begin)
        if held.serves() and left > 0:
            return left
        cause = f"the local sidecar ended; {attempt.failure or 'another one starts'}"
        if attempt.closed:
            cause = "the client was closed during the call"
        raise SidecarUnavailable(
            method=method,
            target=f"{HOST}:{self._options.port}",
            cause=cause,
            code="CANCELLED" if attempt.closed else "UNAVAILABLE",
        )


def _warn_of_ignored(config: LocalSidecarConfig | None) -> None:
    if config is None:
        return
    ignored = [name for name in ("ws_enabled", "ws_url") if config.HasField(name)]
    if ignored:
        _logger.warning(
            "local_sidecar_config: the local sidecar has no use for %s; ignored.",
            ", ".join(ignored),
        )
