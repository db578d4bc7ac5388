"""What an error of redis-py means for an outbox: its cause and its cure, in words.

Which steps may raise one is said in `redis_link`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import OutboxUnavailable


class _Trouble(NamedTuple):
    """Why Redis does not serve; `lasting` when only a person can mend it."""

    cause: str
    cure: str
    lasting: bool = False


_NO_PASSWORD: Final = _Trouble(
    "the server wants a password", "put it into the URL: redis://:password@host", True
)
_WRONG_PASSWORD: Final = _Trouble(
    "the user name or the password is wrong", "correct it in the URL", True
)
_NO_STREAMS: Final = _Trouble(
    "the server does not know Redis Streams", "use Redis 6.2 or newer", True
)

# By words of the server's answer; those of a script's error are somewhere inside.
_BY_WORDS: Final = {
    "NOAUTH": _NO_PASSWORD,
    "Authentication required": _NO_PASSWORD,
    "unauthenticated": _NO_PASSWORD,
    "with the client already authenticated": _NO_PASSWORD,
    "WRONGPASS": _WRONG_PASSWORD,
    "invalid username-password": _WRONG_PASSWORD,
    "invalid password": _WRONG_PASSWORD,
    "without any password configured": _Trouble(
        "the URL has a password and the server has none", "take it out of the URL", True
    ),
    "NOPERM": _Trouble(
        "the user may not do what an outbox does",
        "allow it EVALSHA, EVAL and the commands on the keys of the prefix",
        True,
    ),
    "cluster support disabled": _Trouble(
        "the server is not a cluster", "write redis:// without +cluster", True
    ),
    "MOVED": _Trouble(
        "the server is one node of a cluster", "write redis+cluster:// in the URL", True
    ),
    "DB index": _Trouble(
        "the server has no database of that number", "correct it in the URL", True
    ),
    "nknown command": _NO_STREAMS,
    "nknown Redis command": _NO_STREAMS,
    "READONLY": _Trouble(
        "the server is a read-only replica",
        "give the URL of the primary, or that of Sentinels: redis+sentinel://",
    ),
    "OOM": _Trouble(
        "the server is out of memory", "raise its maxmemory, or let rows be delivered"
    ),
    "MISCONF": _Trouble("the server cannot write to its disk", "free space there"),
    "LOADING": _Trouble("the server is loading its data after a start", "wait for it"),
    "BUSY": _Trouble("the server is busy with a script", "wait, or use SCRIPT KILL"),
    "NOREPLICAS": _Trouble(
        "the server lacks replicas for min-replicas-to-write", "start them"
    ),
    "MASTERDOWN": _Trouble("the server is a replica without a primary", "start that"),
    "CLUSTERDOWN": _Trouble("the cluster is down", "start its nodes"),
    "max number of clients": _Trouble(
        "the server has too many clients", "raise its maxclients"
    ),
}

# redis-py takes the first word from the text of these.
_OF_CLASSES: Final = {
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "SlotNotCoveredError": "CLUSTERDOWN",
    "MovedError": "MOVED",
}


def errors() -> tuple[type[Exception], ...]:
    """What a client of redis-py raises when Redis does not serve."""
    from redis import exceptions

    return exceptions.RedisError, exceptions.RedisClusterException, OSError


def unavailable(location: str, error: Exception) -> OutboxUnavailable:
    """The error for a step that could not be carried out."""
    cause, cure, _ = _trouble(error)
    return OutboxUnavailable(f"The outbox {location} cannot be used: {cause}; {cure}.")


def unopened(location: str, error: Exception) -> OutboxUnavailable | ConfigurationError:
    """The error for an outbox that cannot be opened."""
    cause, cure, lasting = _trouble(error)
    kind = ConfigurationError if lasting else OutboxUnavailable
    return kind(f"The outbox {location} cannot be opened: {cause}; {cure}.")


def _trouble(error: Exception) -> _Trouble:
    from redis import exceptions

    said = f"{_OF_CLASSES.get(type(error).__name__, '')} {error}"
    for words, found in _BY_WORDS.items():
        if words in said:
            return found
    if isinstance(error, exceptions.InvalidResponse):
        return _Trouble(
            "what answers there is not a Redis", "correct host and port", True
        )
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return _Trouble(
            "the server did not answer in time",
            "look what keeps it, or give it more with ?socket_timeout=5 in the URL",
        )
    if isinstance(error, exceptions.ConnectionError | OSError):
        return _Trouble(f"the server cannot be reached ({error})", "look if it runs")
    return _Trouble(f"the server answered {str(error)!r}", "look at its log")
