"""The plain ASGI middleware, message by message: what is sent, settled and closed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import psutil
import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    AsyncGuard,
    ConfigurationError,
    Decision,
    Guard,
    Rule,
)
from stigg_guard.asgi import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
    StiggGuardMiddleware,
    guard_from,
    route_path,
)
from stigg_guard.specs import meter_spec
from tests.behaviour.frameworks.asgi import customer_of
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used

DOMAIN_RULE = {"path": "/domain", "feature": DOMAIN}
METER_RULE = {"path": "/templates", "meters": TEMPLATES}


def http(path: str, customer: str = WITHIN, method: str = "GET", **more: Any) -> Scope:
    headers = [(b"x-customer", customer.encode()), *more.pop("headers", ())]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": headers,
        **more,
    }


def websocket(path: str, customer: str = WITHIN, **more: Any) -> Scope:
    scope = http(path, customer, **more)
    del scope["method"]
    return {**scope, "type": "websocket"}


class Server:
    """Stands where a server does: hands in messages, keeps what is sent."""

    def __init__(self, *incoming: Message) -> None:
        self.incoming = list(incoming)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return self.incoming.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, app: ASGIApp, scope: Scope) -> list[Message]:
        await app(scope, self.receive, self.send)
        return self.sent


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


def guarded(
    sidecar: LocalSidecar, app: ASGIApp = hello, *rules: Any, **settings: Any
) -> StiggGuardMiddleware:
    return StiggGuardMiddleware(
        app,
        rules=rules or (DOMAIN_RULE, METER_RULE),
        customer=customer_of,
        target=sidecar.target,
        timeout=5,
        write_timeout=5,
        **settings,
    )


async def test_usage_is_acknowledged_before_the_first_message_leaves(
    sidecar: LocalSidecar,
) -> None:
    reports: list[int] = []

    class Watching(Server):
        async def send(self, message: Message) -> None:
            reports.append(sidecar.calls["ReportUsage"])

    await Watching().run(guarded(sidecar), http("/templates"))
    assert reports == [1, 1]


async def test_messages_are_forwarded_as_they_are_and_at_once(
    sidecar: LocalSidecar,
) -> None:
    server = Server()
    messages: list[Message] = [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b", "more_body": False},
    ]

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        for count, message in enumerate(messages, 1):
            await send(message)
            assert len(server.sent) == count

    app = guarded(sidecar, streaming, cache_control=None)
    sent = await server.run(app, http("/templates"))
    assert all(one is other for one, other in zip(sent, messages, strict=True))


async def test_request_that_is_cancelled_is_not_metered(sidecar: LocalSidecar) -> None:
    waiting = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(
        Server().run(guarded(sidecar, slow), http("/templates"))
    )
    await waiting.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert sidecar.calls == {"GetEntitlement": 1}


async def test_application_that_never_answers_is_not_metered(
    sidecar: LocalSidecar,
) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    assert await Server().run(guarded(sidecar, silent), http("/templates")) == []
    assert sidecar.calls["ReportUsage"] == 0


async def test_denial_after_the_response_began_is_an_error_for_the_server(
    sidecar: LocalSidecar,
) -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        subject = customer_of(scope)
        assert subject is not None
        await guard_from(scope).require(subject, DOMAIN)

    server = Server()
    with pytest.raises(AccessDenied):
        await server.run(guarded(sidecar, late), http("/late", AT_LIMIT))
    assert [message["type"] for message in server.sent] == ["http.response.start"]


async def test_head_denial_has_the_length_and_no_body(sidecar: LocalSidecar) -> None:
    app = guarded(sidecar)
    start, body = await Server().run(app, http("/domain", AT_LIMIT))
    head_start, head_body = await Server().run(app, http("/domain", AT_LIMIT, "HEAD"))
    assert head_start == start
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert (bool(body["body"]), head_body["body"]) == (True, b"")


async def test_method_in_odd_letters_is_no_way_around_a_rule(
    sidecar: LocalSidecar,
) -> None:
    rule = {**DOMAIN_RULE, "methods": ["GET"]}
    app = guarded(sidecar, hello, rule)
    start, _ = await Server().run(app, http("/domain", AT_LIMIT, "gEt"))
    assert start["status"] == 402


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/domain", "", "/domain"),
        ("/api/domain", "/api", "/domain"),
        ("/domain", "/api", "/domain"),
        ("/apidomain", "/api", "/apidomain"),
        ("/api", "/api", ""),
        ("/domain\n", "", "/domain"),
    ],
)
def test_rules_see_the_path_that_frameworks_route_by(
    path: str, root: str, expected: str
) -> None:
    assert route_path({"path": path, "root_path": root}) == expected


def at_limit(scope: Scope) -> str:
    return AT_LIMIT


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
async def test_guard_that_lives_elsewhere_is_used_with_rules_of_both(
    sidecar: LocalSidecar, kind: type[Guard | AsyncGuard]
) -> None:
    guard = kind(
        target=sidecar.target,
        timeout=5,
        rules=[DOMAIN_RULE],
        customer=at_limit,
    )
    own = Rule(path="/templates", spec=meter_spec(TEMPLATES))
    app = StiggGuardMiddleware(hello, guard=guard, rules=[own])
    for path in ("/domain", "/templates"):
        start, _ = await Server().run(app, http(path, WITHIN))
        assert start["status"] == 402
    assert guard.counts == {"denied": 2}
    nearer = StiggGuardMiddleware(hello, guard=guard, customer=customer_of)
    start, _ = await Server().run(nearer, http("/domain", WITHIN))
    assert start["status"] == 200
    await guard.aio.aclose()


def test_settings_beside_a_guard_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="was given a guard and timeout"):
        StiggGuardMiddleware(hello, guard=Guard(), timeout=1)


def test_what_is_no_guard_is_refused() -> None:
    wrong: Any = "127.0.0.1:80"
    with pytest.raises(ConfigurationError, match="give it a Guard or an AsyncGuard"):
        StiggGuardMiddleware(hello, guard=wrong)


def test_setting_that_does_not_exist_is_refused_by_name() -> None:
    message = r"\(timout=...\) is not .* Did you mean StiggGuardMiddleware.timeout="
    with pytest.raises(ConfigurationError, match=message):
        StiggGuardMiddleware(hello, timout=1)


def test_rule_that_is_wrong_is_named_by_its_number() -> None:
    with pytest.raises(ConfigurationError, match=r"\(rules=...\): rule 0: path is"):
        StiggGuardMiddleware(hello, rules=[{"path": "domain", "feature": DOMAIN}])


def test_rule_by_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="StiggGuardMiddleware: rule 0 is for"):
        StiggGuardMiddleware(hello, rules=[{"name": "domain", "feature": DOMAIN}])


async def test_request_that_passed_no_middleware_is_told_what_to_add() -> None:
    with pytest.raises(ConfigurationError, match="add it to the application"):
        guard_from(http("/domain"))


async def test_nothing_of_a_request_is_kept_after_it(sidecar: LocalSidecar) -> None:
    scope = http("/domain")
    await Server().run(guarded(sidecar), scope)
    assert scope["stigg_guard"].scope.request is None


async def answer_teapot(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"teapot"})


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_application_answers_denials_itself(
    sidecar: LocalSidecar, asynchronous: bool
) -> None:
    seen: list[tuple[object, Decision]] = []

    def answer(scope: object, decision: Decision) -> ASGIApp:
        seen.append((scope, decision))
        return answer_teapot

    async def answer_later(scope: object, decision: Decision) -> ASGIApp:
        return answer(scope, decision)

    on_denied = answer_later if asynchronous else answer
    scope = http("/domain", AT_LIMIT)
    start, body = await Server().run(guarded(sidecar, on_denied=on_denied), scope)
    assert (start["status"], body["body"]) == (418, b"teapot")
    assert seen[0][0] is scope
    assert not seen[0][1].allowed


async def test_answer_of_a_denial_that_is_no_response_is_an_error(
    sidecar: LocalSidecar,
) -> None:
    def answer(scope: Scope, decision: Decision) -> dict[str, str]:
        return {"error": "no"}

    app = guarded(sidecar, on_denied=answer)
    with pytest.raises(TypeError, match="return a response"):
        await Server().run(app, http("/domain", AT_LIMIT))


async def test_accepted_websocket_is_metered_before_it_is_accepted(
    sidecar: LocalSidecar,
) -> None:
    server = Server({"type": "websocket.connect"})
    await server.run(guarded(sidecar, accepting), websocket("/templates"))
    assert [message["type"] for message in server.sent] == ["websocket.accept"]
    assert used(sidecar, WITHIN) == 4


async def test_websocket_that_the_application_refuses_is_not_metered(
    sidecar: LocalSidecar,
) -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1000})

    await Server().run(guarded(sidecar, refusing), websocket("/templates"))
    assert sidecar.calls["ReportUsage"] == 0


async def test_denied_handshake_is_closed_where_the_server_knows_no_response(
    sidecar: LocalSidecar,
) -> None:
    app = guarded(sidecar, accepting)
    sent = await Server().run(app, websocket("/domain", AT_LIMIT))
    assert sent == [
        {
            "type": "websocket.close",
            "code": 1008,
            "reason": "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION",
        }
    ]


async def test_denied_handshake_is_answered_where_the_server_can(
    sidecar: LocalSidecar,
) -> None:
    scope = websocket("/domain", AT_LIMIT, extensions={"websocket.http.response": {}})
    start, body = await Server().run(guarded(sidecar, accepting), scope)
    assert start["type"] == "websocket.http.response.start"
    assert start["status"] == 402
    assert body["type"] == "websocket.http.response.body"
    assert b"NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION" in body["body"]


async def test_denial_on_an_open_websocket_closes_it(sidecar: LocalSidecar) -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await accepting(scope, receive, send)
        subject = customer_of(scope)
        assert subject is not None
        await guard_from(scope).require(subject, DOMAIN)

    scope = websocket("/late", AT_LIMIT, extensions={"websocket.http.response": {}})
    server = Server({"type": "websocket.connect"})
    await server.run(guarded(sidecar, late), scope)
    assert [message["type"] for message in server.sent] == [
        "websocket.accept",
        "websocket.close",
    ]
    assert server.sent[1]["code"] == 1008


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def both(scope: Scope, receive: Receive, send: Send) -> None:
    await (lifespan if scope["type"] == "lifespan" else hello)(scope, receive, send)


def connections(sidecar: LocalSidecar) -> int:
    """How many connections of this process lead to the sidecar."""
    return sum(
        bool(found.raddr) and found.raddr.port == sidecar.port
        for found in psutil.Process().net_connections("tcp")
        if found.status == psutil.CONN_ESTABLISHED
    )


async def run_lifespan(app: ASGIApp) -> list[Message]:
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    return await server.run(app, {"type": "lifespan"})


async def test_shutdown_closes_the_connection_and_passes_through(
    sidecar: LocalSidecar,
) -> None:
    app = guarded(sidecar, both)
    await Server().run(app, http("/domain"))
    assert connections(sidecar) == 1
    assert await run_lifespan(app) == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]
    async with asyncio.timeout(5):
        while connections(sidecar):  # noqa: ASYNC110  # sockets set no event
            await asyncio.sleep(0.01)


async def test_shutdown_leaves_a_guard_alone_that_lives_elsewhere(
    sidecar: LocalSidecar,
) -> None:
    guard = AsyncGuard(target=sidecar.target, timeout=5, rules=[DOMAIN_RULE])
    app = StiggGuardMiddleware(both, guard=guard, customer=customer_of)
    await Server().run(app, http("/domain"))
    await run_lifespan(app)
    assert connections(sidecar) == 1
    await guard.aclose()


@pytest.mark.parametrize(
    "module", ["stigg_guard.asgi", "stigg_guard_starlette", "stigg_guard"]
)
def test_importing_an_adapter_imports_neither_grpc_nor_fastapi(module: str) -> None:
    code = (
        f"import sys, {module};"
        'print([name for name in ("grpc", "fastapi") if name in sys.modules])'
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_other_scopes_pass_through_untouched(sidecar: LocalSidecar) -> None:
    seen: list[Mapping[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    scope: Scope = {"type": "something.new"}
    await Server().run(guarded(sidecar, app), scope)
    assert seen == [{"type": "something.new"}]


def test_template_is_refused_as_there_is_nothing_to_render_it() -> None:
    def app(*_: Any) -> Any:
        """Never called."""

    wanted: list[dict[str, Any]] = [
        {"on_denied": "upgrade.html"},
        {"rules": [{"path": "/d", "feature": DOMAIN, "on_denied": "upgrade.html"}]},
        {"guard": Guard(on_denied="upgrade.html")},
    ]
    for options in wanted:
        with pytest.raises(ConfigurationError, match="the template"):
            StiggGuardMiddleware(app, **options)
