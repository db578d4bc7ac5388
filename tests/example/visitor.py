"""Somebody who uses Revvenu's pages by HTTP, as a browser without a window does."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Self

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

    @property
    def form_id(self) -> str:
        """The id of the form for a new template, as it is on the page now."""
        page = self.get("/templates/").text
        return page.partition('name="form_id" value="')[2].partition('"')[0]

    @property
    def standing(self) -> dict[str, Any]:
        """What the backstage of the templates page shows now."""
        found: dict[str, Any] = self.get("/backstage/").json()
        return found

    def create(self, name: str, form_id: str = "") -> int:
        """Send the form for a new template; the status."""
        answer = self.post("/templates/create/", name=name, form_id=form_id)
        return answer.status_code

    def delete_one(self) -> None:
        """Delete the newest template."""
        page = self.get("/templates/").text
        newest = page.partition("/delete/")[0].rpartition("/")[2]
        assert self.post(f"/templates/{newest}/delete/").status_code == 302

    def at_once(self, number: int, form_id: str = "") -> Counter[int]:
        """Send that form so many times in the same moment; the statuses."""
        gate = Barrier(number)

        def send(each: int) -> int:
            gate.wait()
            return self.create(f"Parallel {each}", form_id)

        with ThreadPoolExecutor(number) as threads:
            return Counter(threads.map(send, range(number)))

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
