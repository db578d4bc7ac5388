"""What the value of each setting may be, and what it becomes.

Which settings there are, and where they come from, lives in `settings`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, Final, cast

from sidecar_client.errors import ConfigurationError
from sidecar_client.target import parse_target
from stigg_guard import metering_values
from stigg_guard.decision import Reason
from stigg_guard.denial import FeatureSettings
from stigg_guard.requirement import as_fallback, is_finite
from stigg_guard.rule_settings import read_rules
from stigg_guard.specs import as_on_denied, is_message
from stigg_guard.view import Redirect, Template
from stigg_guard.wrong import Wrong

__all__ = ["READERS", "Wrong", "from_text", "function"]


def text(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise Wrong("use a non-empty string")
    return value


def optional_text(value: Any) -> str | None:
    """A string that is not empty, or None."""
    return None if value is None else text(value)


def path(value: Any) -> str | None:
    """The path of a file, or None."""
    return None if value is None else text(os.fspath(value))


def target(value: Any) -> str:
    """Where the sidecar listens, or `local`."""
    if value == "local":
        return "local"
    try:
        parse_target(value)
    except ConfigurationError as error:
        cure = str(error).partition("; ")[2].rstrip(".")
        raise Wrong(f'{cure}, or use "local" to start a local sidecar') from error
    return str(value)


def seconds(value: Any) -> float:
    """A time that is 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("use a number of seconds")
    if not is_finite(value) or value < 0:
        raise Wrong("use a finite number of seconds that is 0 or more")
    return float(value)


def deadline(value: Any) -> float:
    """A time that is more than 0."""
    if seconds(value) == 0:
        raise Wrong("use a number of seconds above 0, such as 0.25")
    return float(value)


def count(value: Any) -> int:
    """A whole number that is 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Wrong("use a whole number that is 1 or more")
    return value


def port(value: Any) -> int:
    """A TCP port."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise Wrong("use a port from 1 to 65535")
    return value


def one_of(*choices: str) -> Callable[[Any], str]:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in choices:
            words = " or ".join(f'"{choice}"' for choice in choices)
            raise Wrong(f"use {words}")
        return str(value)

    return read


def function(value: Any) -> Any:
    """A callable, or the dotted path of one."""
    if value is None or callable(value):
        return value
    if not isinstance(value, str):
        raise Wrong('use a function or its dotted path, such as "billing.customer_of"')
    return _imported(value)


def _imported(dotted: str) -> Any:
    module_name, _, name = dotted.rpartition(".")
    if not module_name:
        raise Wrong('use the full dotted path, such as "billing.customer_of"')
    try:
        found = getattr(import_module(module_name), name)
    except ImportError as error:
        raise Wrong(
            f'"{module_name}" does not import ({error}): use a dotted path that does'
        ) from error
    except AttributeError as error:
        raise Wrong(f'"{module_name}" has no "{name}"; check the name') from error
    if not callable(found):
        raise Wrong("what it names is not a function; name one that takes the request")
    return found


def on_denied(value: Any) -> Any:
    """A status, a URL, a template's name, or a function of request and decision."""
    if isinstance(value, int) and not isinstance(value, bool):
        return status(value)
    if isinstance(value, str | Redirect | Template):
        return as_on_denied(value) or function(value)
    return function(value)


def message(value: Any) -> Any:
    """A text for people, which may be translated later, or None."""
    if value is None or is_message(value):
        return value
    raise Wrong("use a sentence")


def enabled(value: Any) -> Any:
    """True, False, or a function of nothing that says which."""
    if isinstance(value, bool):
        return value
    cure = 'use True, False, or a function of nothing, such as "flags.is_guarded"'
    is_path = isinstance(value, str) and "." in value
    if not is_path and not callable(value):
        raise Wrong(cure)
    found = function(value)
    if iscoroutinefunction(found):
        raise Wrong(f"{cure}; it is asked for each request, and is not awaited")
    return found


def webhook_secret(value: Any) -> tuple[str, ...]:
    """One secret or several; what is wrong with them is said without showing them."""
    if value is None:
        return ()
    given: Any = (value,) if isinstance(value, str) else value
    if not isinstance(given, Sequence) or not given:
        raise ValueError("use a string, or a list of strings while it is changed.")
    found: tuple[str, ...] = tuple(cast("Sequence[str]", given))
    for secret in found:
        # Servers tell other characters, and blanks at the ends, in ways of their own.
        if not isinstance(secret, str) or not secret.strip():
            raise ValueError("a secret is not a string, or is empty; copy it again.")
        if not secret.isascii() or not secret.isprintable() or secret != secret.strip():
            raise ValueError(
                "a secret has characters that no header has: blanks at its ends,"
                " control characters, or some beyond ASCII; copy it again."
            )
    return found


def webhook_store(value: Any) -> str | None:
    """`memory`, the URL of a Redis, or None for that of the holds."""
    return None if value is None else metering_values.holds(value)


def cache_control(value: Any) -> str | None:
    """The value of a response header, or None."""
    if value is None:
        return None
    if not text(value).isascii() or not value.isprintable():
        raise Wrong('use what the header may say, such as "private", or None')
    return str(value)


def status(value: Any) -> int:
    """An HTTP error status."""
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value < 600:
        raise Wrong("use an HTTP status from 400 to 599")
    return value


def statuses(value: Any) -> Mapping[Reason, int]:
    """Reasons, by name, and the statuses they get."""
    if not isinstance(value, Mapping):
        raise Wrong('use a mapping, such as {"REVOKED": 402}')
    given = cast("Mapping[str, Any]", value)
    found: dict[Reason, int] = {}
    for name, number in given.items():
        if name not in Reason.__members__:
            raise ValueError(
                f'"{name}" is not a reason; the reasons are {", ".join(Reason)}.'
            )
        try:
            found[Reason[name]] = status(number)
        except Wrong as wrong:
            raise ValueError(f"{name} is {number!r}; {wrong}.") from wrong
    return found


def features(value: Any) -> Mapping[str, FeatureSettings]:
    """What is settled for single features, by their id."""
    if not isinstance(value, Mapping):
        raise Wrong('use a mapping, such as {"feature-01": {"UPGRADE_URL": "/plans/"}}')
    given = cast("Mapping[str, Any]", value)
    return {text(name): _feature(name, found) for name, found in given.items()}


_FEATURE_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "STATUSES": statuses,
    "STATUS": status,
    "SHADOW": metering_values.boolean,
    "MESSAGE": message,
    "UPGRADE_URL": optional_text,
    "ON_UNAVAILABLE": one_of("allow", "deny"),
    "FALLBACK": as_fallback,
}


def _feature(name: str, value: Any) -> FeatureSettings:
    if not isinstance(value, Mapping):
        raise ValueError(f'"{name}" is {value!r}; use a mapping of its settings.')
    given = cast("Mapping[str, Any]", value)
    found: dict[str, Any] = {}
    for key, item in given.items():
        reader = _FEATURE_READERS.get(key)
        if reader is None:
            raise ValueError(
                f'"{name}" has "{key}", which is not a setting of a feature; use'
                f" {', '.join(_FEATURE_READERS)}."
            )
        try:
            found[key.lower()] = reader(item)
        except Wrong as wrong:
            raise ValueError(f'"{name}": {key} is {item!r}; {wrong}.') from wrong
    return FeatureSettings(**found)


_BOOLEANS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def from_text(key: str, written: str) -> Any:
    """The value that an environment variable stands for; what is unclear stays text."""
    reader = READERS.get(key)
    if reader in (read_rules, statuses, features, metering_values.hooks) or (
        (reader is metering_values.rate_limit_headers and written.startswith("{"))
        or (reader is webhook_secret and written.startswith("["))
    ):
        try:
            return json.loads(written)
        except ValueError as error:
            raise ConfigurationError(
                f"STIGG_GUARD_{key} is not JSON ({error}); write it as JSON."
            ) from error
    if reader in (metering_values.boolean, enabled):
        return _BOOLEANS.get(written.lower(), written)
    if reader in (seconds, deadline, count, port, metering_values.lasting):
        for number in (int, float):
            try:
                return number(written)
            except ValueError:
                continue
    if reader is on_denied and written.isdigit():
        return int(written)
    return written


READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "TARGET": target,
    "CUSTOMER": function,
    "TIMEOUT": deadline,
    "WRITE_TIMEOUT": deadline,
    "ENABLED": enabled,
    "SHADOW": metering_values.boolean,
    "EXEMPT_WHEN": function,
    "ON_UNAVAILABLE": one_of("allow", "deny"),
    "LAST_KNOWN_FOR": seconds,
    "REMEMBER": seconds,
    "REMEMBER_CUSTOMERS": count,
    "RULES": read_rules,
    "UPGRADE_URL": optional_text,
    "STATUSES": statuses,
    "FEATURES": features,
    "NO_CUSTOMER": one_of("forbid", "unauthorized", "login"),
    "LOGIN_URL": optional_text,
    "HTML": one_of("page", "redirect"),
    "ON_DENIED": on_denied,
    "CACHE_CONTROL": cache_control,
    "PROBLEM_TYPE_BASE": text,
    "RETRY_AFTER": count,
    "ROOT_CERTIFICATES": path,
    "CATALOG": path,
    "LOCAL_PORT": port,
    "HOLDS": metering_values.holds,
    "HOLDS_ON_UNAVAILABLE": one_of("memory", "deny"),
    "HOLDS_WAIT": seconds,
    "HOLDS_LEASE": metering_values.lasting,
    "USAGE_SEEN_WITHIN": metering_values.lasting,
    "EVENTS_SEEN_WITHIN": metering_values.lasting,
    "OUTBOX": metering_values.outbox,
    "OUTBOX_SYNCHRONOUS": one_of("full", "normal"),
    "OUTBOX_WORKER": metering_values.boolean,
    "ON_AMBIGUOUS": one_of("reconcile", "park"),
    "QUEUE_SIZE": count,
    "ON_QUEUE_FULL": one_of("wait", "drop"),
    "DRAIN_TIMEOUT": seconds,
    "REDIS_PREFIX": text,
    "WEBHOOK_SECRET": webhook_secret,
    "WEBHOOK_STORE": webhook_store,
    "HOOKS": metering_values.hooks,
    "RATE_LIMIT_HEADERS": metering_values.rate_limit_headers,
}
