"""A catalog that is edited while it is served: what changes, and what stays."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from sidecar_client import (
    GetEntitlementsStateV2Request,
    ReportUsageRequest,
    SyncStigg,
)
from sidecar_client.errors import ConfigurationError
from sidecar_client.local import Catalog, LocalSidecar, load_catalog
from sidecar_client.local.catalog_text import as_mapping
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.populate import populate
from sidecar_client.local.records import (
    DEFINITIONS,
    SOURCE,
    Aggregate,
    Usage,
    Wallet,
    customer_key,
)
from sidecar_client.local.reloading import Reloader, reloading
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import Transaction, World
from tests.local.wire import Clock, check

FILE = """\
features:
  - {id: seats, type: metered, meter: fluctuating}
  - {id: sso, type: boolean}
  - {id: hits, type: metered, meter: incremental, events: {event: hit}}
currencies:
  - {id: tokens}
plans:
  - {id: team, entitlements: {seats: {limit: 5}, sso: true, hits: {limit: 9}}}
  - {id: free, entitlements: {seats: {limit: 1}}}
customers:
  - id: acme
    subscriptions: [{plan: team}]
    usage: [{feature: seats, value: 2}, {feature: hits, value: 3}]
    credits: [{id: g, currency: tokens, amount: 10}]
  - {id: other, subscriptions: [{plan: free}]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "plans.yaml"
    found.write_text(FILE)
    return found


@pytest.fixture
async def world(path: Path) -> World:
    """A world that was loaded from the file."""
    made = World(MemoryStore(), clock=Clock())
    await populate(made, load_catalog(path))
    return made


def edit(path: Path, *changes: tuple[str, str]) -> Catalog:
    """Write the file anew, and load it."""
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return load_catalog(path)


async def provision(world: World, customer_id: str, plan: str) -> None:
    """What others than the catalog do: a subscription to a plan."""

    async def work(transaction: Transaction) -> None:
        key = customer_key(customer_id)
        customer = await transaction.read(key)
        assert customer is not None
        subs = (*customer.subscriptions, Subscription(id=f"by-api-{plan}", plan=plan))
        transaction.write(key, customer.model_copy(update={"subscriptions": subs}))

    await world.transact(work)


async def total(world: World, kind: str, customer_id: str, feature: str) -> float:
    """What is counted of a feature, in all windows together."""
    found = await world.store.scan(f"{kind}/{customer_id}//{feature}/")
    if kind == "usage":
        return sum(cast("Usage", entry.record).total for _, entry in found)
    shares = [cast("Aggregate", entry.record).shown for _, entry in found]
    return sum(share.count for share in shares if share)


def test_edit_shows_and_usage_is_kept(path: Path) -> None:
    with LocalSidecar(path) as sidecar, SyncStigg(target=sidecar.target) as stigg:
        stigg.report_usage(
            ReportUsageRequest(customer_id="acme", feature_id="seats", value=2)
        )
        assert check(sidecar, "seats", customer_id="acme", usage=2) == (
            "REQUESTED_USAGE_EXCEEDING_LIMIT"
        )
        edit(path, ("seats: {limit: 5}", "seats: {limit: 6}"), ("id: other", "id: new"))
        assert sidecar.reload() == [
            "plan 'team': entitlement to 'seats' is limit 6 (was limit 5)",
            "customer 'other' is gone",
            "customer 'new' is new",
        ]
        assert check(sidecar, "seats", customer_id="acme", usage=2) is None
        assert check(sidecar, "seats", customer_id="other") == "CUSTOMER_NOT_FOUND"
        assert check(sidecar, "seats", customer_id="new") is None
        assert sidecar.reload() == []
        assert sidecar.catalog == load_catalog(path)
        answer = stigg.get_entitlements_state_v2(
            GetEntitlementsStateV2Request(customer_id="acme")
        )
        (seats,) = [e for e in answer.entitlements if e.metered.feature.id == "seats"]
        assert (seats.metered.current_usage, seats.metered.usage_limit) == (4, 6)


async def test_what_others_changed_stays(world: World, path: Path) -> None:
    await provision(world, "other", "team")
    new = edit(
        path, ("{id: sso, type: boolean}", "{id: sso, type: boolean, name: SSO}")
    )
    assert len(await populate(world, new)) == 1
    other = await world.read(customer_key("other"))
    assert other is not None
    assert [sub.plan for sub in other.subscriptions] == ["free", "team"]
    definitions = await world.read(DEFINITIONS)
    assert definitions is not None
    assert definitions.features[1].name == "SSO"
    assert await world.read(SOURCE) == new
    again = edit(path, ("id: other, sub", "id: other, name: O, sub"))
    await populate(world, again)
    other = await world.read(customer_key("other"))
    assert other is not None
    assert (other.name, len(other.subscriptions)) == ("O", 2)


async def test_customer_that_others_removed_stays_away(
    world: World, path: Path
) -> None:
    async def remove(transaction: Transaction) -> None:
        transaction.remove(customer_key("other"))

    await world.transact(remove)
    await populate(world, edit(path, ("id: other, sub", "id: other, name: O, sub")))
    assert await world.read(customer_key("other")) is None


async def test_customer_that_is_gone_takes_all_of_its_own_along(
    world: World, path: Path
) -> None:
    whole = path.read_text()
    begin, end = whole.index("  - id: acme"), whole.index("  - {id: other")
    path.write_text(whole[:begin] + whole[end:])
    await populate(world, load_catalog(path))
    for kind in ("customer", "usage", "aggregate", "wallet", "billed"):
        found = await world.store.scan(f"{kind}/")
        assert [name for name, _ in found if "/acme" in name] == []
    path.write_text(whole)
    await populate(world, load_catalog(path))
    assert await total(world, "usage", "acme", "seats") == 2
    assert await total(world, "aggregate", "acme", "hits") == 3


async def test_starting_usage_that_is_edited_is_what_is_used(
    world: World, path: Path
) -> None:
    await populate(
        world, edit(path, ("feature: hits, value: 3", "feature: hits, value: 7"))
    )
    assert await total(world, "usage", "acme", "seats") == 2
    assert await total(world, "aggregate", "acme", "hits") == 7
    await populate(
        world, edit(path, ("feature: seats, value: 2", "feature: seats, value: 4"))
    )
    assert await total(world, "usage", "acme", "seats") == 4
    await populate(world, edit(path, ("{feature: seats, value: 4}, ", "")))
    assert await total(world, "usage", "acme", "seats") == 4, "what was used stays"


async def test_credits_that_are_edited_keep_what_is_spent(
    world: World, path: Path
) -> None:
    async def grants() -> list[tuple[str | None, float, str | None]]:
        ((_, entry),) = await world.store.scan("wallet/acme/")
        held = cast("Wallet", entry.record).grants
        return [(item.grant.id, item.grant.amount, item.over) for item in held]

    more = ("amount: 10}", "amount: 20}, {id: h, currency: tokens, amount: 5}")
    await populate(world, edit(path, more))
    assert await grants() == [("g", 20, None), ("h", 5, None)]
    fewer = ("{id: g, currency: tokens, amount: 20}, ", "")
    await populate(world, edit(path, fewer))
    assert await grants() == [("g", 20, "voided"), ("h", 5, None)]


async def test_catalog_that_does_not_fit_what_others_made_is_refused(
    world: World, path: Path
) -> None:
    await provision(world, "acme", "free")
    before = await world.store.scan("")
    text = path.read_text()
    without = [line for line in text.splitlines() if "free" not in line]
    path.write_text("\n".join(without))
    with pytest.raises(ConfigurationError) as caught:
        await populate(world, load_catalog(path))
    first, second = str(caught.value).splitlines()
    assert first.endswith("change it too, or begin with an empty store:")
    assert second == (
        "customer 'acme': subscriptions.1.plan: there is no plan 'free'; define it"
        " under plans or use one of: team"
    )
    assert await world.store.scan("") == before


async def test_store_is_left_as_it_is_by_the_same_catalog(
    world: World, path: Path
) -> None:
    await provision(world, "other", "team")
    assert await populate(world, load_catalog(path)) == ()
    other = await world.read(customer_key("other"))
    assert other is not None
    assert len(other.subscriptions) == 2


async def test_many_customers_are_loaded_and_changed_in_steps() -> None:
    def catalog(status: str) -> Catalog:
        subscription = {"plan": "free", "status": status}
        return load_catalog(
            {
                "plans": [{"id": "free"}],
                "customers": [
                    {"id": f"c{number}", "subscriptions": [subscription]}
                    for number in range(250)
                ],
            }
        )

    world = World(MemoryStore(), clock=Clock())
    told: list[str] = []
    world.listeners.append(lambda announcement: told.append(announcement.kind))
    await asyncio.gather(
        populate(world, catalog("active")), populate(world, catalog("active"))
    )
    assert len(await populate(world, catalog("expired"))) == 250
    for _, entry in await world.store.scan("customer/"):
        (sub,) = cast("Customer", entry.record).subscriptions
        assert sub.status == "expired"
    assert told == ["catalog.loaded"], "the first is no news"


async def test_files_are_read_again_once_they_have_been_still(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sidecar_client.local")
    async with LocalSidecar(path) as sidecar:
        reloader = Reloader(sidecar)
        assert not await reloader.look()
        edit(path, ("seats: {limit: 5}", "seats: {limit: 6}"))
        assert not await reloader.look(), "who writes it may not be done"
        edit(path, ("seats: {limit: 6}", "seats: {limit: 7}"))
        assert not await reloader.look()
        assert await reloader.look()
        assert not await reloader.look()
        assert sidecar.catalog.plans[0].entitlements["seats"].limit == 7
    assert caplog.messages[-2:] == [
        f"Catalog {path} read again: 1 changed.",
        "  plan 'team': entitlement to 'seats' is limit 7 (was limit 5)",
    ]


async def test_bad_edit_keeps_the_old_catalog_and_says_why(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with LocalSidecar(path) as sidecar:
        reloader = Reloader(sidecar)
        path.write_text(FILE.replace("type: boolean", "type: bool"))
        await reloader.look()
        await reloader.look()
        assert sidecar.catalog == load_catalog(as_mapping(sidecar.catalog))
        (message,) = caplog.messages
        assert message.startswith(
            f"The catalog {path} is not served, the one before it"
        )
        assert f"{path}:3: features[1].type: is 'bool'; use 'boolean'" in message
        await reloader.look()
        assert len(caplog.messages) == 1, "it is told once"
        path.unlink()
        await reloader.look()
        await reloader.look()
        assert "cannot be read" in caplog.messages[-1]
        path.write_text(FILE.replace("limit: 9", "limit: 8"))
        await reloader.look()
        assert await reloader.look()
        assert sidecar.catalog.plans[0].entitlements["hits"].limit == 8


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "~\n"])
async def test_file_that_was_emptied_keeps_what_it_said(
    path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    async with LocalSidecar(path) as sidecar:
        before = sidecar.catalog
        reloader = Reloader(sidecar)
        path.write_text(text)
        await reloader.look()
        assert await reloader.look()
        (message,) = caplog.messages
        assert message.endswith(
            f"{path}:1: is empty; write features, plans and customers, or {{}} for "
            "none of them"
        )
        assert sidecar.catalog == before
        acme = await sidecar.world.read(customer_key("acme"))
        assert acme is not None
        assert await total(sidecar.world, "usage", "acme", "seats") == 2
        path.write_text(FILE.replace("limit: 5", "limit: 6"))
        assert len(await sidecar.areload()) == 1


async def test_file_that_was_cut_short_keeps_what_it_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with LocalSidecar(path) as sidecar:
        before = sidecar.catalog
        path.write_text(FILE[: FILE.index(", type: boolean")])
        await Reloader(sidecar).reload()
        assert "is not YAML" in caplog.messages[0]
        assert sidecar.catalog == before


async def test_catalog_of_nothing_has_to_be_written(path: Path) -> None:
    async with LocalSidecar(path) as sidecar:
        path.write_text("{}\n")
        assert "customer 'acme' is gone" in await sidecar.areload()
        assert sidecar.catalog == Catalog()


async def test_file_that_comes_into_a_folder_is_read(path: Path) -> None:
    async with LocalSidecar(path.parent) as sidecar:
        reloader = Reloader(sidecar)
        (path.parent / "more.yaml").write_text("features: [{id: new, type: boolean}]")
        await reloader.look()
        assert await reloader.look()
        assert sidecar.catalog.features[0].id == "new"


async def test_catalog_without_files_cannot_be_read_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with LocalSidecar({}) as sidecar:
        await Reloader(sidecar).reload()
    assert caplog.messages == ["The catalog is no file, so it cannot be read again."]
    with pytest.raises(ConfigurationError, match="serves from no thread"):
        LocalSidecar({}).reload()


async def test_sighup_reads_again_at_once(path: Path) -> None:
    async with LocalSidecar(path) as sidecar:
        with reloading(sidecar):
            edit(path, ("seats: {limit: 5}", "seats: {limit: 6}"))
            os.kill(os.getpid(), signal.SIGHUP)
            await until(
                lambda: sidecar.catalog.plans[0].entitlements["seats"].limit == 6
            )
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


async def until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


async def test_running_command_sees_edits(path: Path) -> None:
    process = await started(
        "-m", "stigg_guard.cli", "sidecar", "run", "--no-http", path
    )
    assert process.stdout
    assert process.stderr
    welcome = await process.stdout.readline()
    assert welcome.startswith(b"Local sidecar on ")
    edit(path, ("seats: {limit: 5}", "seats: {limit: 6}"))
    await found_in(process.stderr, b"is limit 6 (was limit 5)")
    process.send_signal(signal.SIGHUP)
    await found_in(process.stderr, b"read again: nothing changed.")
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


async def test_running_child_sees_edits(path: Path) -> None:
    socket = path.parent / "socket"
    process = await started(
        "-m", "sidecar_client.local", "--control-socket", socket, path
    )
    lines, lease = await connected(socket)
    await lines.readline()
    edit(path, ("seats: {limit: 5}", "seats: {limit: 6}"))
    await found_in(lines, b"is limit 6 (was limit 5)")
    lease.close()
    await process.communicate()
    assert process.returncode == 0


async def connected(
    socket: Path,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the socket, as soon as something listens there."""
    give_up = time.monotonic() + 30
    while True:
        try:
            return await asyncio.open_unix_connection(socket)
        except OSError:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)


async def started(*words: str | Path) -> asyncio.subprocess.Process:
    """A process of the command, the last word being its catalog."""
    *command, catalog = map(str, words)
    port = ("--port", "0", "--catalog", catalog)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *command, *port),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


async def found_in(lines: asyncio.StreamReader, text: bytes) -> None:
    """Wait for a line with the text."""
    async with asyncio.timeout(30):
        while text not in (line := await lines.readline()):
            assert line, "it ended"
