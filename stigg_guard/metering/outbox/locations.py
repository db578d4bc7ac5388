"""Where an outbox is, as a setting says it: a path, an address or a class.

The stores themselves live beside it; each is imported when it is asked for.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import Any, Final

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.memory import MemoryOutbox

REDIS: Final = ("redis", "rediss", "unix")
"""Also with "+sentinel" or "+cluster" after them."""
DJANGO: Final = "stigg_guard_django.outbox.DjangoOutbox"
CLASS: Final = re.compile(r"(?:\w+\.)+[A-Z]\w*|(?:\w+\.)*\w+:\w+")
SCHEME: Final = re.compile(r"[a-z][a-z0-9+]*(?=:)")
CURE: Final = (
    'use a path such as "/var/lib/app/outbox.db", "sqlite:///var/lib/app/outbox.db",'
    ' "memory:", "redis://127.0.0.1:6379/0", "django", or a class such as'
    ' "package.module.Class".'
)


def open_outbox(location: str | os.PathLike[str], **options: Any) -> Outbox:
    """The outbox at a location; options are for the store that it names.

    A path or "sqlite:" is a file, "memory:" the process, "redis:" and its kin a server,
    "django" a model in the application's own database. A dotted name is a class of
    yours, made without arguments. What the store needs to be reached is checked when it
    is first used.
    """
    if isinstance(location, os.PathLike):
        return _sqlite(os.fspath(location), options)
    if not isinstance(location, str) or not location.strip():
        raise ConfigurationError(f"The outbox location is {location!r}; {CURE}")
    scheme = SCHEME.match(location)
    if scheme is not None and (found := _by_scheme(scheme[0], location, options)):
        return found
    if location == "django":
        return _made(DJANGO, location, options)
    if CLASS.fullmatch(location):
        return _made(location, location, {})
    if _is_path(location):
        return _sqlite(location, options)
    raise ConfigurationError(f"The outbox location is {location!r}; {CURE}")


def _by_scheme(scheme: str, location: str, options: dict[str, Any]) -> Outbox | None:
    if scheme == "memory" and location == "memory:":
        return MemoryOutbox(**options)
    if scheme == "sqlite":
        return _sqlite(_sqlite_path(location), options)
    if scheme.partition("+")[0] in REDIS:
        module = import_module("stigg_guard.metering.outbox.redis")
        outbox: Outbox = module.RedisOutbox(location, **options)
        return outbox
    return None


def _sqlite_path(location: str) -> str:
    rest = location.removeprefix("sqlite:")
    path = rest.removeprefix("//")
    if not path or (path != rest and not path.startswith("/")):
        raise ConfigurationError(
            f"The outbox location is {location!r}; write sqlite:///absolute/path or"
            " sqlite:relative/path."
        )
    return path


def _sqlite(path: str, options: dict[str, Any]) -> Outbox:
    module = import_module("stigg_guard.metering.outbox.sqlite")
    outbox: Outbox = module.SqliteOutbox(path, **options)
    return outbox


def _is_path(location: str) -> bool:
    """A bare word is rather a slip than a file."""
    name = os.path.basename(location)
    return ":" not in location and (os.sep in location or "." in name)


def _made(name: str, location: str, options: dict[str, Any]) -> Outbox:
    module, _, attribute = name.replace(":", ".").rpartition(".")
    try:
        factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"The outbox {location!r} cannot be imported: {error}; {CURE}"
        ) from error
    outbox = factory if _is_other(factory) else factory(**options)
    if not isinstance(outbox, Outbox):
        raise ConfigurationError(
            f"The outbox {location!r} is {outbox!r}; name a subclass of"
            " stigg_guard.metering.outbox.base.Outbox."
        )
    return outbox


def _is_other(factory: object) -> bool:
    return isinstance(factory, type) and not issubclass(factory, Outbox)
