"""Where the HTTP side listens, and who may use it.

Checking these options lives here; listening (`server`) and asking (`access`) do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.ports import address, is_loopback
from sidecar_client.local.shown import shown

DEFAULT_PORT = 8080
LEAST_TOKEN = 16
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-]")
_TAKEN = ("/metrics", "/local", "/api", "/graphql")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """What a person says about the HTTP side, checked."""

    host: str = "127.0.0.1"
    token: str | None = None
    """What callers have to know; needed on hosts that other machines reach."""
    health_path: str = "/livez"
    ready_path: str = "/readyz"

    def __post_init__(self) -> None:
        object.__setattr__(self, "health_path", _rooted(self.health_path))
        object.__setattr__(self, "ready_path", _rooted(self.ready_path))
        for name, path in (
            ("health_path", self.health_path),
            ("ready_path", self.ready_path),
        ):
            _check_path(name, path)
        if self.health_path == self.ready_path:
            raise ConfigurationError(
                f"health_path and ready_path are both {self.health_path!r}; "
                "give each its own (HEALTH_ENDPOINT_URL, READY_ENDPOINT_URL)"
            )
        _check_token(self.token)
        if self.token is None and not is_loopback(self.host):
            raise ConfigurationError(
                f"http_host is {self.host!r}, which other machines can reach, and "
                "there is no token; set one with --token or STIGG_GUARD_TOKEN, or "
                "keep to 127.0.0.1"
            )

    def url(self, port: int) -> str:
        """Where a browser of this machine finds it."""
        is_any = self.host in ("0.0.0.0", "::")  # noqa: S104
        return f"http://{address('127.0.0.1' if is_any else self.host, port)}"


def paths_of(environment: Mapping[str, str]) -> tuple[str, str]:
    """The paths of health and readiness, as the real sidecar's variables name them."""
    return (
        environment.get("HEALTH_ENDPOINT_URL") or "/livez",
        environment.get("READY_ENDPOINT_URL") or "/readyz",
    )


def _rooted(path: str) -> str:
    """The real sidecar takes `livez` as well as `/livez`."""
    return path if path.startswith("/") else f"/{path}"


def _check_path(name: str, path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ConfigurationError(
            f"{name} is {shown(path)}; use a path such as /livez, "
            "of letters, digits and . _ ~ - /"
        )
    for taken in _TAKEN:
        if path == taken or path.startswith(f"{taken}/"):
            raise ConfigurationError(
                f"{name} is {shown(path)}, but {taken} is another part of the HTTP "
                "side; use a path such as /livez"
            )


def _check_token(token: str | None) -> None:
    if token is None:
        return
    if len(token) < LEAST_TOKEN:
        raise ConfigurationError(
            f"the token has {len(token)} characters; use {LEAST_TOKEN} or more, "
            "such as what `openssl rand -hex 16` prints"
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise ConfigurationError(
            "the token has characters that no header can carry; "
            "use letters, digits and ASCII punctuation without spaces"
        )
