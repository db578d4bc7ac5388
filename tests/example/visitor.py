"""Somebody who uses Revvenu's pages by HTTP, as a browser without a window does."""

from __future__ import annotations

from typing import Self

import httpx

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Visitor:
    """A session in Revvenu, logged in as a demo customer who begins anew."""

    def __init__(self, url: str, customer: str) -> None:
        self._client = httpx.Client(base_url=url, headers=BROWSER, timeout=30)
        self._customer = customer

    def __enter__(self) -> Self:
        try:
            self.get("/login/")
            assert self.post("/login/", customer=self._customer).status_code == 302
            self.begin_again()
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.begin_again()
        finally:
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
