"""The contract's application in aiohttp, behind aiohttp's own server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any

from aiohttp import web

from stigg_guard import Subject, guard_exempt
from stigg_guard.testing.contract import BehaviourClient, Response, routes
from stigg_guard.testing.contract.views import Told
from tests.adapters import aiohttp_guard


def customer_of(request: web.Request) -> Subject | None:
    customer = request.headers.get("X-Customer")
    return Subject(customer, request.headers.get("X-Resource")) if customer else None


async def view(request: web.Request) -> web.StreamResponse:
    told = Told.by(request.query)
    if told.use is not None:
        aiohttp_guard.usage_from(request).value = told.use
    if told.chunks is None:
        return web.json_response({"ok": True}, status=told.status, headers=told.headers)
    response = web.StreamResponse(status=told.status)
    await response.prepare(request)
    async for chunk in told.astream():
        await response.write(chunk)
    return response


async def required(request: web.Request) -> web.StreamResponse:
    subject = customer_of(request)
    assert subject is not None
    await aiohttp_guard.guard_from(request).require(subject, routes.DOMAIN)
    return await view(request)


def guarded(guards: tuple[routes.Guarded, ...]) -> Any:
    async def own(request: web.Request) -> web.StreamResponse:
        return await view(request)

    found: Any = own
    for guard in reversed(guards):
        decorator = getattr(aiohttp_guard, guard.kind)
        found = decorator(*guard.needs, **guard.options)(found)
    return found


def application(**settings: Any) -> web.Application:
    app = web.Application()
    options = {"customer": customer_of, "rules": routes.rules(), **settings}
    aiohttp_guard.StiggGuard(**options).setup(app)
    views = {path: guarded(guards) for path, guards in routes.ROUTES.items()}
    views[routes.RULE_EXEMPT] = guard_exempt(guarded(()))
    views["/ruled/{number}"] = guarded(())
    views["/numbered/{number}"] = guarded((routes.NUMBERED_GUARD,))
    views[routes.REQUIRED] = required
    for path, handler in views.items():
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            app.router.add_route(method, path, handler)
    return app


class AiohttpClient(BehaviourClient):
    """A server on an event loop of its own; each request has its own connection."""

    def __init__(self, **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._port = self._run(self._start(application(**settings)))

    async def _start(self, app: web.Application) -> int:
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def request(
        self,
        method: str,
        path: str,
        *,
        customer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        named = {"X-Customer": customer} if customer else {}
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, headers={**named, **(headers or {})})
            answer = connection.getresponse()
            body = answer.read()
        except (HTTPException, OSError):
            return Response(status=500, headers={}, body=b"")
        finally:
            connection.close()
        return Response(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=body,
        )

    @contextmanager
    def serving(self) -> Generator[int]:
        yield self._port

    def close(self) -> None:
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
