"""What an error of redis-py means: the cause in the user's words, and the cure.

Who raises it as what is in `redis`.
"""

from __future__ import annotations

from typing import Final

from sidecar_client.certificates import certificate_problem
from stigg_guard.metering.holds.base import HoldsUnavailable

_CAUSES: Final = {
    "READONLY": "it is a read-only replica; point the URL at the primary",
    "NOAUTH": "it wants a password; put it into the URL, redis://user:password@host",
    "WRONGPASS": "user or password is wrong; correct it in the URL",
    "NOPERM": "the user may not do this; allow it EVALSHA, EVAL and the commands that"
    " scripts use on the keys of the prefix",
    "OOM": "it is out of memory; raise maxmemory, and let maxmemory-policy be"
    " noeviction, as what is evicted is counted no more",
    "LOADING": "it is reading its data after a start; wait, or look at its log",
    "MISCONF": "it cannot write to its disk; free space there, and look at its log",
    "NOREPLICAS": "too few of its replicas are there for min-replicas-to-write; start"
    " them",
    "MASTERDOWN": "it is a replica without its primary; point the URL at the primary",
    "CLUSTERDOWN": "the cluster is down: slots are not served; start its nodes",
    "MOVED": "it is a node of a cluster; use redis+cluster:// in the URL",
    "CROSSSLOT": "it is a cluster that another prefix was meant for; use one prefix",
    "BUSY": "it is busy with a script of somebody else; end it with SCRIPT KILL",
    "NOTBUSY": "a script was ended; it is asked again with the next step",
}
_PASSWORD_WORDS: Final = ("invalid username-password", "invalid password")


def unavailable(error: BaseException, location: str) -> HoldsUnavailable:
    """The error to raise for one of redis-py's."""
    return HoldsUnavailable(
        f"The hold store {location} is out: {_cause(error, location)}."
    )


def _cause(error: BaseException, location: str) -> str:
    text = str(error).strip().rstrip(".")
    # Within a script the server's word comes later in the text.
    words = text.replace("-", " ").replace(":", " ").split()
    for word, cause in _CAUSES.items():
        if word in words or word in _names(error):
            return f"{cause} ({text})" if text else cause
    if any(word in text.lower() for word in _PASSWORD_WORDS):
        return f"{_CAUSES['WRONGPASS']} ({text})"
    is_unknown = "unauthenticated" in text
    if is_unknown or type(error).__name__ == "AuthenticationError":
        return f"{_CAUSES['NOAUTH']} ({text})"
    if "slots are not covered" in text or isinstance(error, IndexError):
        return f"{_CAUSES['CLUSTERDOWN']} ({text})"
    if "max number of clients" in text.lower():
        return f"it has too many clients; raise its maxclients ({text})"
    if "DB index" in text:
        return f"it has no such database; correct the number in the URL ({text})"
    if (of_tls := certificate_problem(text, location)) is not None:
        return of_tls
    if isinstance(error, TimeoutError) or "timeout" in type(error).__name__.lower():
        tls = ", or speaks no TLS there" if location.startswith("rediss") else ""
        return (
            f"it does not answer in time; look whether it is overloaded{tls} ({text})"
        )
    shown = text or type(error).__name__
    return f"{shown}; look whether it runs and can be reached from here"


def _names(error: BaseException) -> str:
    return _OF_CLASSES.get(type(error).__name__, "")


_OF_CLASSES: Final = {
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "SlotNotCoveredError": "CLUSTERDOWN",
    "MovedError": "MOVED",
    "ClusterCrossSlotError": "CROSSSLOT",
}
"""redis-py takes the server's word from the text of these."""
