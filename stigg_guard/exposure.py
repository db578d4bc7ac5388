"""Whether a target is asked in the clear over a network that others may read.

What a target looks like is said in `sidecar_client.target`.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from stigg_guard.settings import Settings

_HERE: Final = ("localhost", "localhost.localdomain", "ip6-localhost")


def is_exposed(settings: Settings) -> bool:
    """Whether customers' ids and usage leave this host without TLS."""
    if settings.root_certificates is not None:
        return False
    return not _is_here(settings.target)


def _is_here(target: str) -> bool:
    if target == "local" or target.startswith("unix:"):
        return True
    name = target.removeprefix("dns:").rpartition("/")[2]
    host = name.rpartition(":")[0].strip("[]").lower()
    if host in _HERE or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
