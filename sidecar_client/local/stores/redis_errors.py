"""What an error of redis-py means for a store: the cause and the cure, in words.

When a step is tried again is decided in `redis_link`.
"""

from __future__ import annotations

from typing import Final

from sidecar_client.certificates import certificate_problem
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.stores.redis_scripts import FORM

_CAUSES: Final = {
    "TORN": "a part of what it kept is gone, as by eviction or somebody's DEL; set its"
    " maxmemory-policy to noeviction, then remove the keys of the prefix, or use"
    " another prefix",
    "FORM": "what it keeps was written by another version of stigg-guard (this one"
    f" knows form {FORM}); use that version, or another prefix",
    "WRONGTYPE": "keys of the prefix belong to something else; use another prefix",
    "READONLY": "it is a read-only replica; name the primary",
    "NOAUTH": "it wants a password; give one, as with REDIS_PASSWORD",
    "WRONGPASS": "user or password is wrong; correct REDIS_USERNAME, REDIS_PASSWORD or"
    " the URL",
    "NOPERM": "the user may not do this; allow it EVAL, EVALSHA and the commands that"
    " scripts use on the keys of the prefix",
    "OOM": "it is out of memory; raise its maxmemory",
    "LOADING": "it is reading its data after a start; wait, or look at its log",
    "MISCONF": "it cannot write to its disk; free space there, and look at its log",
    "NOREPLICAS": "too few of its replicas are there for min-replicas-to-write; start"
    " them",
    "MASTERDOWN": "it is a replica without its primary; name the primary",
    "CLUSTERDOWN": "the cluster is down: slots are not served; start its nodes",
    "BUSY": "it is busy with a script of somebody else; end it with SCRIPT KILL",
}
_CLASSES: Final = {
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "SlotNotCoveredError": "CLUSTERDOWN",
    "AuthenticationError": "NOAUTH",
    "AuthenticationWrongNumberOfArgsError": "NOAUTH",
}
"""redis-py takes the server's word from the text of these."""


def store_error(error: BaseException, location: str) -> StoreError:
    """The error to raise for one of redis-py's, or of the system's."""
    return StoreError(f"The store {location} is out: {_cause(error, location)}.")


def _cause(error: BaseException, location: str) -> str:
    text = str(error).strip().rstrip(".")
    if "invalid username-password" in text or "invalid password" in text:
        return f"{_CAUSES['WRONGPASS']} ({text})"
    # Within a script the server's word comes later in the text.
    words = [*text.replace(":", " ").split(), _CLASSES.get(type(error).__name__, "")]
    for word, cause in _CAUSES.items():
        if word in words or f"-{word}" in words:
            return f"{cause} ({text})"
    if "DB index" in text:
        return f"it has no such database; correct its number ({text})"
    if (of_tls := certificate_problem(text, location)) is not None:
        return of_tls
    if "timeout" in type(error).__name__.lower():
        tls = ", or speaks no TLS there" if location.startswith("rediss") else ""
        return (
            f"it does not answer in time; look whether it is overloaded{tls} ({text})"
        )
    shown = text or type(error).__name__
    is_cut = "reset by peer" in text or "closed by server" in text
    tls = ", or speaks TLS alone (rediss://)" if is_cut else ""
    return f"{shown}; look whether it runs and can be reached from here{tls}"
