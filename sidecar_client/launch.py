"""The local sidecar's process: found by its control socket, or started there.

Who asks for it, and when again, lives in `child`. What it does lives in
`sidecar_client.local`, which is run here, never imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO, Final

from sidecar_client.child_settings import agreed, child_environment
from sidecar_client.errors import ConfigurationError
from sidecar_client.lease import Hello, Lease, connect
from sidecar_client.options import LocalSidecarOptions
from sidecar_client.processes import PerProcess

HOST: Final = "127.0.0.1"
START_WAIT: Final = 10.0
"""Seconds a local sidecar may take until it serves."""
_LEAVING_WAIT: Final = 3.0
_POLL: Final = 0.02
_SHOWN_LINES: Final = 12
_LONGEST_SOCKET_PATH: Final = 107
# The child speaks of its own arguments; these are what a client's user can set.
_KNOBS: Final = (
    (re.compile(r" with --port( \(0 takes a free one\))?"), " with local_sidecar_port"),
    (re.compile(r" with --control-socket"), " by setting TMPDIR"),
)

# The lock on the file keeps other processes out; this one, the threads of this process.
_turn: Final = PerProcess(threading.Lock)


def name_of(options: LocalSidecarOptions) -> str:
    """Return what error messages call it."""
    return f"the local sidecar on {HOST}:{options.port}"


def attach(options: LocalSidecarOptions) -> Lease:
    """Share the running sidecar or start one; `ConfigurationError` when neither can."""
    directory = _private_directory()
    control = directory / f"{options.port}.sock"
    if len(os.fsencode(control)) > _LONGEST_SOCKET_PATH:
        raise ConfigurationError(
            f"the control socket {control} has a path of more than "
            f"{_LONGEST_SOCKET_PATH} bytes; set TMPDIR to a shorter directory."
        )
    lock = directory / f"{options.port}.lock"
    with _turn.get(), _locked(lock) as pid_file:
        lease = _join_or_start(options, control, pid_file)
    if other := _otherwise(options, lease.hello):
        lease.release()
        raise ConfigurationError(
            f"the local sidecar on {lease.hello.target} (pid {lease.hello.pid}) "
            f"{other}; give one of the two applications another local_sidecar_port."
        )
    return lease


def _otherwise(options: LocalSidecarOptions, hello: Hello) -> str | None:
    """What the running sidecar does otherwise than was wanted; None for nothing."""
    wanted = "demo" if options.catalog is None else str(options.catalog)
    if os.path.realpath(hello.catalog) != os.path.realpath(wanted):
        return f"serves the catalog {hello.catalog!r}, not {wanted!r}"
    settings = agreed(child_environment(os.environ, options.settings))
    for name in sorted({*settings, *hello.settings}):
        theirs, ours = hello.settings.get(name, ""), settings.get(name, "")
        if theirs != ours:
            return f"runs with {name}={theirs}, not with {name}={ours}"
    return None


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
            _note(child, pid_file)
        pid_file.seek(0)
        time.sleep(_POLL)
    if child is None:
        raise _keeps_the_place(options, control, pid_file)
    raise _too_slow(options, child)


class _Child:
    """A local sidecar that this process started."""

    def __init__(self, options: LocalSidecarOptions, control: Path) -> None:
        self._name = name_of(options)
        # Unlinked at once; it takes what is said before the control connection is up.
        with _usable(Path(_temporary_directory())):
            self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed after the start)
        try:
            self._process = self._start(options, _command(options, control))
        except BaseException:
            self._said.close()
            raise
        self.pid = self._process.pid

    def _start(
        self, options: LocalSidecarOptions, command: list[str]
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 (our own module, no shell)
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                env=child_environment(os.environ, options.settings),
                # Ctrl-C is for the application; it follows when its lease ends.
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{self._name} cannot be started: running {command[0]} failed "
                f"({_reason(error)}); start one yourself with `stigg-guard sidecar "
                "run` and name it as remote_sidecar_host and remote_sidecar_port."
            ) from error

    def check_alive(self) -> None:
        if self._process.poll() is None:
            return
        said = self._last_said() or f"it ended with status {self._process.returncode}"
        raise ConfigurationError(f"{self._name} did not start: {said}")

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
        for theirs, ours in _KNOBS:
            said = theirs.sub(ours, said)
        return "\n".join(said.splitlines()[-_SHOWN_LINES:])


def _too_slow(options: LocalSidecarOptions, child: _Child) -> ConfigurationError:
    said = child.give_up() or "nothing; the machine may be too busy"
    return ConfigurationError(
        f"{name_of(options)} did not answer within {START_WAIT:g} s, so it was "
        f"ended; it said: {said}"
    )


def _keeps_the_place(
    options: LocalSidecarOptions, control: Path, pid_file: IO[str]
) -> ConfigurationError:
    pid = pid_file.read()
    who, cure = f"what listens on {control}", "end it, or remove that file"
    if _is_local_sidecar(pid):
        who, cure = f"the running one (pid {pid})", f"end it, as by `kill -9 {pid}`"
    return ConfigurationError(
        f"{name_of(options)} is not to be had: {who} did not answer within "
        f"{START_WAIT:g} s; {cure}, or use another local_sidecar_port."
    )


def _command(options: LocalSidecarOptions, control: Path) -> list[str]:
    # Its errors are shown to the user; warnings of its libraries are no part of them.
    command = [_python(), "-W", "ignore", "-m", "sidecar_client.local"]
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


@contextlib.contextmanager
def _usable(path: Path) -> Generator[None]:
    """Tell an error of the system around the path, and the cure."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be used for the local sidecar ({_reason(error)}); set "
            "TMPDIR to a directory in which this user may write."
        ) from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _temporary_directory() -> str:
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise ConfigurationError(
            f"the local sidecar has no place for its socket: {_reason(error)}; set "
            "TMPDIR to a directory in which this user may write."
        ) from error


def _private_directory() -> Path:
    """Return this user's directory for control sockets; nobody else may enter it."""
    path = Path(_temporary_directory(), f"stigg-guard-{os.getuid()}")
    with _usable(path):
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
    with _usable(path):
        file = path.open("a+", errors="replace")
    with file:
        # Not flock: a child forked meanwhile would go on holding the lock.
        while not _try_lock(file, path):
            if time.monotonic() - begin > 2 * START_WAIT:
                raise ConfigurationError(
                    f"{path} is locked: another process is starting a local sidecar "
                    "and does not come to an end; end that process."
                )
            time.sleep(_POLL)
        file.seek(0)
        yield file


def _try_lock(file: IO[str], path: Path) -> bool:
    with _usable(path):
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
    return True


def _note(child: _Child, pid_file: IO[str]) -> None:
    try:
        _write(pid_file, str(child.pid))
    except ConfigurationError:
        child.give_up()
        raise


def _write(file: IO[str], text: str) -> None:
    with _usable(Path(file.name)):
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
