"""What the behaviour suite needs of a framework: build the application, send a request.

Whoever has an adapter writes a subclass; what is expected of it is in the tests.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, free of frameworks; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class BehaviourClient(ABC):
    """The application of `routes` in one framework, against one sidecar.

    `settings` are guard settings by their lower-case names (`target` among them). The
    customer is the request's `X-Customer` header, the resource its `X-Resource`;
    without a header there is no customer.
    """

    has_decorators = True
    has_websockets = False
    has_ended = False

    @abstractmethod
    def __init__(self, **settings: Any) -> None: ...

    @abstractmethod
    def request(
        self,
        method: str,
        path: str,
        *,
        customer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request; an error of a view that nobody handles is a 500."""

    def handshake(self, path: str, *, customer: str | None = None) -> Response:
        """Try a WebSocket handshake; 101 when it was accepted."""
        raise NotImplementedError(path)

    def serving(self) -> AbstractContextManager[int]:
        """The application behind a real server; yields its port."""
        raise NotImplementedError

    def end(self) -> None:
        """Shut down, once: what waits is sent."""
        if not self.has_ended:
            self.has_ended = True
            self.close()

    def close(self) -> None:  # noqa: B027  # not every framework holds something
        """Let go of everything."""

    def get(self, path: str, customer: str | None = None, **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", path, customer=customer, headers=named)

    def post(self, path: str, customer: str | None = None, **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, customer=customer, headers=named)
