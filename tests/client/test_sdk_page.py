"""Every Python snippet of the SDK page runs with only its import line changed.

With both clients, against the demo catalog, at the time of the page's results. The
snippet of the `.api` client is not the sidecar's.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, Final

import pytest
from google.protobuf.json_format import MessageToDict

from sidecar_client import Stigg, SyncStigg, options
from sidecar_client.local import LocalSidecar
from tests.client.test_recovery import free_port
from tests.local.wire import Clock
from tests.redis_server import RedisServer, redis_server

# Names that a snippet of the page uses and forgets to import.
PRELUDE: Final = "from sidecar_client import *\nimport datetime\n"
PAGE: Final = Path(__file__).with_name("sdk_page.md").read_text()
SECTIONS: Final = {
    part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:] if part
}
ASKING: Final = [
    "boolean",
    "numeric",
    "metered",
    "requested usage",
    "all entitlements",
]


def snippet(name: str) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", SECTIONS[name], flags=re.DOTALL)
    return str(code).replace(
        "from stigg_sidecar_sdk import", "from sidecar_client import"
    )


def result(name: str) -> Any:
    """Return the page's result; its nulls stand for what is absent."""
    (text,) = re.findall(r"```json\n(.*?)```", SECTIONS[name], flags=re.DOTALL)
    return json.loads(
        text,
        object_pairs_hook=lambda pairs: {k: v for k, v in pairs if v is not None},
    )


class Session:
    """Runs snippets one after another, in one namespace."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        exec(PRELUDE, self.names)

    async def run(self, code: str) -> None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled: CodeType = compile(code, "<SDK page>", "exec", flags=flags)
        outcome = eval(compiled, self.names)
        if inspect.isawaitable(outcome):
            await outcome

    def as_json(self) -> dict[str, Any]:
        written: dict[str, Any] = MessageToDict(
            self.names["resp"], always_print_fields_with_no_presence=True
        )
        return written


class SyncSession(Session):
    """Runs them as an application without asyncio writes them."""

    async def run(self, code: str) -> None:
        plain = code.replace("await ", "").replace("import Stigg", "import SyncStigg")
        exec(plain.replace("stigg = Stigg(", "stigg = SyncStigg("), self.names)


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    with LocalSidecar(clock=Clock()) as running:
        yield running


@pytest.fixture(params=[Session, SyncSession])
def session(request: pytest.FixtureRequest, sidecar: LocalSidecar) -> Session:
    made: Session = request.param()
    client = SyncStigg if isinstance(made, SyncSession) else Stigg
    made.names["stigg"] = client(target=sidecar.target, timeout=10, write_timeout=10)
    return made


async def close(session: Session) -> None:
    client = session.names["stigg"]
    if isinstance(client, Stigg):
        await client.aclose()
    else:
        client.close()


def test_no_snippet_is_left_out() -> None:
    code = "".join(map(snippet, SECTIONS))
    assert len(SECTIONS) == 11
    assert code.count("await stigg.") == 8


@pytest.mark.parametrize("name", ASKING)
async def test_asking_gives_the_result_of_the_page(session: Session, name: str) -> None:
    # The one snippet without an import stands after one that has it.
    await session.run(snippet("metered"))
    await session.run(snippet(name))
    got, wanted = session.as_json(), result(name)
    if "entitlements" in wanted:
        # The page gives no order.
        for listed in (got["entitlements"], wanted["entitlements"]):
            listed.sort(key=json.dumps)
    assert got == wanted
    await close(session)


async def test_reported_usage_is_seen_by_the_next_check(session: Session) -> None:
    await session.run(snippet("report usage"))
    await session.run(snippet("metered"))
    assert session.names["resp"].entitlement.current_usage == 5
    await session.run(snippet("set usage"))
    assert session.names["resp"].measurement_id
    await session.run(snippet("metered"))
    assert session.names["resp"].entitlement.current_usage == 3
    await close(session)


async def test_reported_events_arrive(session: Session, sidecar: LocalSidecar) -> None:
    await session.run(snippet("report events"))
    (event,) = sidecar.events
    assert event.event_name == "user_login"
    assert event.dimensions["user_id"].string_value == "user-01"
    assert event.timestamp.seconds > 0
    await close(session)


@pytest.mark.parametrize("kind", [Session, SyncSession])
async def test_production_snippet_asks_the_remote_sidecar(kind: type[Session]) -> None:
    session = kind()
    await session.run(snippet("production"))
    assert session.names["stigg"].target == "localhost:8443"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server("--appendonly", "no") as server:
        yield server


@pytest.mark.parametrize("kind", [Session, SyncSession])
@pytest.mark.parametrize("name", ["development", "persistent cache"])
async def test_local_snippet_starts_a_sidecar(
    kind: type[Session],
    name: str,
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So that tests may run beside one another, and beside a sidecar on 8443.
    monkeypatch.setattr(options, "LOCAL_PORT", free_port())
    session = kind()
    code = snippet(name)
    assert "port=6379" in code
    await session.run(code.replace("port=6379", f"port={redis.port}"))
    await session.run(snippet("boolean"))
    assert session.names["resp"].has_access
    await close(session)
