"""The local sidecar as a child process: started once, shared by all workers.

What it does lives in `sidecar_client.local`, which is run here, never imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO, Final

from sidecar_client.errors import ConfigurationError, SidecarUnavailable
from sidecar_client.lease import Lease, connect
from sidecar_client.options import LocalSidecarOptions
from sidecar_client.processes import PerProcess
from sidecar_client.protocol.sidecar_pb2 import LocalSidecarConfig

HOST: Final = "127.0.0.1"
START_WAIT: Final = 10.0
"""Seconds a local sidecar may take until it serves."""
_LEAVING_WAIT: Final = 3.0
_REVIVAL_PAUSE: Final = 0.25
_POLL: Final = 0.02
_SHOWN_LINES: Final = 12

_logger: Final = logging.getLogger("sidecar_client")
# The lock on the file keeps other processes out; this one, the threads of this process.
_turn: Final = PerProcess(threading.Lock)


class _Revival:
    """A sidecar being brought back, in a thread of its own: requests do not wait."""

    __slots__ = ("ended", "error", "since")

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.ended = threading.Event()
        self.error: ConfigurationError | None = None

    @property
    def may_be_tried_again(self) -> bool:
        """Whether it ended, and not just now."""
        return self.ended.is_set() and time.monotonic() - self.since > _REVIVAL_PAUSE


class _Held:
    """The lease of one process, and the way to the next when its sidecar ended."""

    __slots__ = ("has_served", "lease", "lock", "revival")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lease: Lease | None = None
        self.has_served = False
        self.revival: _Revival | None = None

    def serves(self) -> bool:
        """Whether there is a lease, of a sidecar that lives."""
        return self.lease is not None and self.lease.is_held


class LocalChild:
    """The local sidecar of one client: attached on the first call, in each process."""

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
        """Share the running sidecar, or start one; returns what the call has left.

        The first time it waits until the sidecar serves, whatever the deadline, and
        raises `ConfigurationError` with what it said when it cannot. When a sidecar
        that served has ended, another is started beside the calls: they wait for it
        until their deadline, then raise `SidecarUnavailable`.
        """
        held = self._held.get()
        begin = time.monotonic()
        with held.lock:
            if held.serves():
                return deadline
            if not held.has_served:
                held.lease = _attach(self._options)
                held.has_served = True
                return deadline
            revival = self._revival(held)
        revival.ended.wait(deadline)
        left = deadline - (time.monotonic() - begin)
        if held.serves() and left > 0:
            return left
        raise SidecarUnavailable(
            method=method,
            target=f"{HOST}:{self._options.port}",
            cause=f"the local sidecar ended; {revival.error or 'another one starts'}",
            code="UNAVAILABLE",
        )

    def _revival(self, held: _Held) -> _Revival:
        revival = held.revival
        if revival is None or revival.may_be_tried_again:
            revival = held.revival = _Revival()
            threading.Thread(
                target=self._revive, args=(held, revival), daemon=True
            ).start()
        return revival

    def _revive(self, held: _Held, revival: _Revival) -> None:
        try:
            lease = _attach(self._options)
        except ConfigurationError as error:
            revival.error = error
        else:
            held.lease = lease
        finally:
            revival.since = time.monotonic()
            revival.ended.set()

    def release(self) -> None:
        """Give the lease back; the sidecar ends with the last one."""
        held = self._held.get()
        with held.lock:
            lease, held.lease = held.lease, None
            held.has_served = False
        if lease is not None:
            lease.release()


def _attach(options: LocalSidecarOptions) -> Lease:
    directory = _private_directory()
    control = directory / f"{options.port}.sock"
    lock = directory / f"{options.port}.lock"
    with _turn.get(), _locked(lock) as pid_file:
        lease = _join_or_start(options, control, pid_file)
    wanted = "demo" if options.catalog is None else str(options.catalog)
    if os.path.realpath(lease.hello.catalog) != os.path.realpath(wanted):
        lease.release()
        raise ConfigurationError(
            f"the local sidecar on {lease.hello.target} (pid {lease.hello.pid}) serves "
            f"the catalog {lease.hello.catalog!r}, not {wanted!r}; give one of the two "
            "applications another local_sidecar_port."
        )
    return lease


def _join_or_start(
    options: LocalSidecarOptions, control: Path, pid_file: IO[str]
) -> Lease:
    begin = time.monotonic()
    child: _Child | None = None
    while (waited := time.monotonic() - begin) < START_WAIT:
        lease = connect(control, timeout=START_WAIT - waited)
        if lease is not None:
            if child is not None:
                child.reap_when_it_ends()
            return lease
        if child is not None:
            child.check_alive()
        elif waited > _LEAVING_WAIT or not _is_local_sidecar(pid_file.read()):
            child = _Child(options, control)
            _write(pid_file, str(child.pid))
        pid_file.seek(0)
        time.sleep(_POLL)
    raise _too_slow(options, child)


class _Child:
    """A local sidecar that this process started."""

    def __init__(self, options: LocalSidecarOptions, control: Path) -> None:
        self._name = f"the local sidecar on {HOST}:{options.port}"
        # Unlinked at once; it takes what is said before the control connection is up.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed after the start)
        self._process = subprocess.Popen(  # noqa: S603 (our own module, no shell)
            _command(options, control),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            # Ctrl-C is for the application; the sidecar follows when its lease ends.
            start_new_session=True,
        )
        self.pid = self._process.pid

    def check_alive(self) -> None:
        if self._process.poll() is not None:
            raise ConfigurationError(f"{self._name} did not start: {self._last_said()}")

    def reap_when_it_ends(self) -> None:
        self._said.close()
        threading.Thread(target=self._process.wait, daemon=True).start()

    def give_up(self) -> str:
        self._process.kill()
        self._process.wait()
        return self._last_said()

    def _last_said(self) -> str:
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        self._said.close()
        lines = said.splitlines()[-_SHOWN_LINES:]
        return "\n".join(lines) or f"it ended with status {self._process.returncode}"


def _too_slow(options: LocalSidecarOptions, child: _Child | None) -> ConfigurationError:
    said = "another one keeps the place" if child is None else child.give_up()
    return ConfigurationError(
        f"the local sidecar on {HOST}:{options.port} did not serve within "
        f"{START_WAIT:g} s; it said: {said}"
    )


def _command(options: LocalSidecarOptions, control: Path) -> list[str]:
    command = [_python(), "-m", "sidecar_client.local"]
    command += ["--host", HOST, "--port", str(options.port)]
    command += ["--control-socket", str(control)]
    if options.catalog is not None:
        command += ["--catalog", str(options.catalog)]
    return command


def _python() -> str:
    # Servers that embed Python, such as uWSGI, name themselves in sys.executable.
    if Path(sys.executable or "").name.startswith(("python", "pypy")):
        return sys.executable
    return str(Path(sys.prefix, "bin", "python3"))


def _private_directory() -> Path:
    """Return this user's directory for control sockets; nobody else may enter it."""
    path = Path(tempfile.gettempdir(), f"stigg-guard-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not is_private or found.st_uid != os.getuid():
        raise ConfigurationError(
            f"{path} is not a directory of this user alone, so the local sidecar "
            "cannot keep its socket there; remove it, or set TMPDIR."
        )
    return path


@contextlib.contextmanager
def _locked(path: Path) -> Generator[IO[str]]:
    """Hold the one right to start a sidecar; the file keeps the pid of the last."""
    begin = time.monotonic()
    with path.open("a+") as file:
        # Not flock: a child forked meanwhile would go on holding the lock.
        while not _try_lock(file):
            if time.monotonic() - begin > 2 * START_WAIT:
                raise ConfigurationError(
                    f"{path} is locked: another process is starting a local sidecar "
                    "and does not come to an end; end that process."
                )
            time.sleep(_POLL)
        file.seek(0)
        yield file


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def _is_local_sidecar(pid: str) -> bool:
    """Tell whether the last sidecar still runs: it is on its way out, then."""
    try:
        return b"sidecar_client.local" in Path(f"/proc/{int(pid)}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def _warn_of_ignored(config: LocalSidecarConfig | None) -> None:
    ignored = [] if config is None else [field.name for field, _ in config.ListFields()]
    if ignored:
        _logger.warning(
            "local_sidecar_config: the local sidecar has no use for %s; ignored.",
            ", ".join(ignored),
        )
