"""A real Redis server that speaks TLS, and the certificates for it, made by `openssl`.

Debian's `redis-server` and `openssl` must be there: without them the tests fail.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.redis_server import RedisServer, free_port, redis_server

_NAMES = "subjectAltName=IP:127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class TlsRedis:
    """A server whose port knows TLS alone; `authority` signed its certificate."""

    server: RedisServer
    port: int
    authority: Path
    stranger: Path
    """The certificate of an authority that signed nothing."""

    def url(self, **options: object) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"rediss://127.0.0.1:{self.port}/0?{query}"


@contextmanager
def tls_redis(folder: Path, *, names: str = _NAMES) -> Generator[TlsRedis]:
    """A running server with a certificate for `names`, on a free port of loopback."""
    authority, stranger = (_authority(folder, name) for name in ("ours", "stranger"))
    key, certificate = folder / "server.key", folder / "server.crt"
    _openssl(
        *("req", "-x509", *_KEY, "-keyout", str(key), "-out", str(certificate)),
        *("-subj", "/CN=redis", "-addext", names, "-days", "2"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))),
    )
    port = free_port()
    with redis_server(
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(authority)),
    ) as server:
        yield TlsRedis(server=server, port=port, authority=authority, stranger=stranger)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _authority(folder: Path, name: str) -> Path:
    made = folder / f"{name}.crt"
    _openssl(
        *("req", "-x509", *_KEY, "-subj", f"/CN={name}", "-days", "2"),
        *("-keyout", str(made.with_suffix(".key")), "-out", str(made)),
    )
    return made


def _openssl(*arguments: str) -> None:
    program = shutil.which("openssl")
    assert program is not None, "openssl is missing: apt-get install openssl"
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
