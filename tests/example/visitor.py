"""Somebody who uses Revvenu's pages by HTTP, as a browser without a window does."""

from __future__ import annotations

from typing import Self

import httpx

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Visitor:
    """A session in Revvenu, logged in as one of the demo customers."""

    def __init__(self, url: str, customer: str) -> None:
        self._client = httpx.Client(base_url=url, headers=BROWSER, timeout=30)
        self.get("/login/")
        assert self.post("/login/", customer=customer).status_code == 302

    def __enter__(self) -> Self:
        self.begin_again()
        return self

    def __exit__(self, *_: object) -> None:
        self.begin_again()
        self._client.close()

    def begin_again(self) -> None:
        """Have what the customer began with."""
        assert self.post("/start-over/").status_code == 302

    def get(self, path: str) -> httpx.Response:
        """A page."""
        return self._client.get(path)

    def post(
        self, path: str, *, file: bytes | None = None, **fields: str
    ) -> httpx.Response:
        """A form that was filled in."""
        token = self._client.cookies["csrftoken"]
        return self._client.post(
            path,
            data={"csrfmiddlewaretoken": token, **fields},
            files=None if file is None else {"file": ("photo.jpg", file)},
        )
