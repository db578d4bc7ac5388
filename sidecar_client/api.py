"""The vendor's client of the management API, behind `Stigg.api` and `SyncStigg.api`.

Where it is pointed and which errors tell that it cannot be had live here; what it can
do is the vendor's.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sidecar_client.errors import ConfigurationError
from sidecar_client.protocol.sidecar_pb2 import ApiConfig

if TYPE_CHECKING:
    import httpx
    import stigg

    Find = Callable[[], str]
    FindInLoop = Callable[[], Awaitable[str]]

INSTALL: Final = "pip install 'stigg-guard[api]'"
LOCAL_URL: Final = "http://local-sidecar"
"""The base URL of a client of the local sidecar, which each request finds anew."""
_LOCAL_KEY: Final = "local"
_CLASSES: Final = ("AsyncStigg", "Stigg", "DefaultHttpxClient")


class MissingApiClient(ConfigurationError, ImportError):
    """The vendor's client is not installed; the message has the line to type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """The key and the URL of the management API; None: as the vendor's client does."""

    key: str | None
    url: str | None

    @classmethod
    def of(cls, config: ApiConfig | None) -> ApiOptions:
        """What the `api_config` of a client says of it."""
        if config is None:
            return cls(key=None, url=None)
        return cls(
            key=config.api_key or None,
            url=_checked_url(config.api_url) if config.HasField("api_url") else None,
        )


def sync_client(options: ApiOptions, find: Find | None) -> stigg.Stigg:
    """Make the vendor's client; `find` tells where the local sidecar serves HTTP."""
    _check_vendor()
    import stigg

    if find is None:
        return stigg.Stigg(api_key=_key(options), base_url=options.url)

    def lead(request: httpx.Request) -> None:
        _lead(request, find())

    return stigg.Stigg(
        api_key=options.key or _LOCAL_KEY,
        base_url=LOCAL_URL,
        http_client=stigg.DefaultHttpxClient(
            base_url=LOCAL_URL, event_hooks={"request": [lead]}, trust_env=False
        ),
    )


def async_client(options: ApiOptions, find: FindInLoop | None) -> stigg.AsyncStigg:
    """Make the vendor's asyncio client, as `sync_client` does."""
    _check_vendor()
    import stigg

    if find is None:
        return stigg.AsyncStigg(api_key=_key(options), base_url=options.url)

    async def lead(request: httpx.Request) -> None:
        _lead(request, await find())

    return stigg.AsyncStigg(
        api_key=options.key or _LOCAL_KEY,
        base_url=LOCAL_URL,
        http_client=stigg.DefaultAsyncHttpxClient(
            base_url=LOCAL_URL, event_hooks={"request": [lead]}, trust_env=False
        ),
    )


def _lead(request: httpx.Request, base: str) -> None:
    """Send the request to the local sidecar, which has another port in each life."""
    found = urlsplit(base)
    request.url = request.url.copy_with(
        scheme=found.scheme, host=found.hostname, port=found.port
    )
    request.headers["Host"] = found.netloc


def _check_vendor() -> None:
    """Raise `MissingApiClient` unless `stigg` is the vendor's REST client."""
    try:
        found = importlib.import_module("stigg")
    except ModuleNotFoundError as error:
        if error.name != "stigg":
            raise _broken(error) from error
        raise MissingApiClient(
            "`.api` is the vendor's client of the management API, which is not "
            f"installed; install it with: {INSTALL}"
        ) from None
    except ImportError as error:
        raise _broken(error) from error
    if not all(isinstance(getattr(found, name, None), type) for name in _CLASSES):
        raise MissingApiClient(
            f"the module `stigg` of {_place(found)} is not the vendor's REST client, "
            "which has the same import name; take out what brought it (such as "
            f"stigg-api-client-v2, the GraphQL client), then: {INSTALL}"
        )


def _broken(error: ImportError) -> MissingApiClient:
    return MissingApiClient(
        f"the vendor's client `stigg` cannot be imported ({error}); another package "
        "may have written over it, such as stigg-api-client-v2: uninstall both, then: "
        f"{INSTALL}"
    )


def _place(module: object) -> str:
    paths = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return next((str(path) for path in paths if path), "unknown origin")


def _key(options: ApiOptions) -> str:
    key = options.key or os.environ.get("STIGG_API_KEY")
    if not key:
        raise ConfigurationError(
            "the management API wants a key; give one, as in "
            "ApiConfig(api_key=...), or set STIGG_API_KEY."
        )
    return key


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(
            f"api_url of api_config is {url!r}; use a URL such as "
            '"https://api.stigg.io".'
        )
    return url
