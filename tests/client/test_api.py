"""`.api`: the vendor's client, where it is pointed, and what is said when it is not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
import stigg as vendor

from sidecar_client import (
    ApiConfig,
    ConfigurationError,
    ReloadEntitlementsRequest,
    Stigg,
    SyncStigg,
)
from tests.client.test_local_child import eventually, sidecars
from tests.client.test_recovery import free_port

CUSTOMER = {
    "id": "customer-demo-01",
    "createdAt": "2026-01-01T00:00:00Z",
    "updatedAt": "2026-01-01T00:00:00Z",
}


class Backend:
    """An HTTP server that knows one customer, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                backend.asked.append((self.path, self.headers.get("X-API-KEY")))
                body = json.dumps({"data": CUSTOMER}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 (its name)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def backend() -> Iterator[Backend]:
    server = Backend()
    yield server
    server.stop()


def remote(api_url: str | None = None, api_key: str = "a-key") -> SyncStigg:
    config = ApiConfig(api_key=api_key, api_url=api_url)
    return SyncStigg(config, target="127.0.0.1:80")


def test_api_asks_the_configured_url_with_the_configured_key(backend: Backend) -> None:
    with remote(backend.url) as stigg:
        answer = stigg.api.v1.customers.retrieve("customer-demo-01")
    assert answer.data.id == "customer-demo-01"
    assert backend.asked == [("/api/v1/customers/customer-demo-01", "a-key")]


async def test_the_asyncio_client_has_the_vendors_asyncio_client(
    backend: Backend,
) -> None:
    config = ApiConfig(api_key="a-key", api_url=backend.url)
    async with Stigg(config, target="127.0.0.1:80") as stigg:
        answer = await stigg.api.v1.customers.retrieve("customer-demo-01")
    assert answer.data.id == "customer-demo-01"
    assert backend.asked == [("/api/v1/customers/customer-demo-01", "a-key")]


def test_each_event_loop_gets_a_client_of_its_own(backend: Backend) -> None:
    config = ApiConfig(api_key="a-key", api_url=backend.url)
    stigg = Stigg(config, target="127.0.0.1:80")

    async def ask() -> vendor.AsyncStigg:
        client = stigg.api
        assert stigg.api is client
        await client.v1.customers.retrieve("customer-demo-01")
        await stigg.aclose()
        return client

    first, second = asyncio.run(ask()), asyncio.run(ask())
    assert first is not second
    assert first.is_closed()
    assert len(backend.asked) == 2


def test_closing_ends_the_vendors_client_too_and_a_later_use_makes_another() -> None:
    stigg = remote("http://127.0.0.1:1")
    client = stigg.api
    assert stigg.api is client
    stigg.close()
    assert client.is_closed()
    assert stigg.api is not client
    stigg.close()


def test_without_a_url_the_vendors_client_goes_where_it_goes_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("STIGG_BASE_URL", raising=False)
    with remote() as stigg:
        assert str(stigg.api.base_url) == "https://api.stigg.io"


def test_without_a_key_the_environment_is_asked_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STIGG_API_KEY", "of-the-environment")
    with SyncStigg(target="127.0.0.1:80") as stigg:
        assert stigg.api.api_key == "of-the-environment"


def test_without_any_key_an_error_says_how_to_give_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("STIGG_API_KEY", raising=False)
    with (
        SyncStigg(target="127.0.0.1:80") as stigg,
        pytest.raises(ConfigurationError, match=r"ApiConfig\(api_key=.*STIGG_API_KEY"),
    ):
        assert stigg.api


@pytest.mark.parametrize("url", ["", "api.stigg.io", "ftp://api.stigg.io", "http://["])
def test_a_url_that_is_none_is_refused_when_the_client_is_built(url: str) -> None:
    with pytest.raises(ConfigurationError, match="api_url of api_config is "):
        remote(url)


def test_where_it_is_not_installed_an_error_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "stigg", None)
    with remote() as stigg, pytest.raises(ConfigurationError) as caught:
        assert stigg.api
    assert isinstance(caught.value, ImportError)
    assert "pip install 'stigg-guard[api]'" in str(caught.value)


def test_another_package_of_the_same_import_name_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = ModuleType("stigg")
    other.__file__ = "/site-packages/stigg/__init__.py"
    other.Stigg = type("Stigg", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stigg", other)
    with (
        remote() as stigg,
        pytest.raises(
            ConfigurationError,
            match=r"`stigg` of /site-packages/stigg/__init__.py is not the vendor's"
            r" REST client.*stigg-api-client-v2",
        ),
    ):
        assert stigg.api


def test_a_broken_installation_is_not_taken_for_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "stigg.py").write_text("import no_such_module_of_it\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in [name for name in sys.modules if name.split(".")[0] == "stigg"]:
        monkeypatch.delitem(sys.modules, name)
    with (
        remote() as stigg,
        pytest.raises(ConfigurationError, match=r"no_such_module_of_it.*uninstall"),
    ):
        assert stigg.api


def test_building_and_asking_a_sidecar_imports_no_vendor_client() -> None:
    code = (
        "import sys, sidecar_client as s; s.SyncStigg(target='127.0.0.1:80');"
        "print([m for m in sys.modules if m in ('stigg', 'httpx', 'pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.fixture
def port() -> Iterator[int]:
    """A port for a local sidecar of the client's own, which is gone after the test."""
    chosen = free_port()
    yield chosen
    eventually(lambda: not sidecars(chosen), f"a sidecar is left on {chosen}")


def test_with_a_local_sidecar_it_asks_that_one_also_when_it_was_started_anew(
    port: int,
) -> None:
    with SyncStigg(local_sidecar_port=port) as stigg:
        customers = stigg.api.v1.customers
        made = customers.provision(id="new", name="New").data
        assert customers.retrieve("new").data == made
        (pid,) = sidecars(port)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: pid not in sidecars(port), "the sidecar is still there")
        assert customers.retrieve("customer-demo-01").data.id == "customer-demo-01"
        with pytest.raises(vendor.NotFoundError):
            customers.retrieve("new")


async def test_the_asyncio_client_starts_a_local_sidecar_as_well(port: int) -> None:
    async with Stigg(local_sidecar_port=port) as stigg:
        made = await stigg.api.v1.customers.provision(id="new")
        assert made.data.id == "new"
        request = ReloadEntitlementsRequest(customer_id="new")
        answer = await stigg.reload_entitlements(request, timeout=10)
        assert answer.entitled_entity_exists
