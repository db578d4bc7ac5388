"""What the Redis outbox says when its server does not serve, and that nothing is lost.

Every error comes from a real server in that state.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import Delivered, OutboxUnavailable
from stigg_guard.metering.outbox.redis import RedisOutbox
from tests.metering.holds.servers import redis_sentinel
from tests.metering.outbox.redis_worker import event, raw, usage
from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture(scope="module")
def locked() -> Iterator[RedisServer]:
    with redis_server("--requirepass", "right") as running:
        yield running


def with_password(server: RedisServer, password: str) -> str:
    return server.url.replace("//", f"//:{password}@")


def message_of(outbox: RedisOutbox) -> str:
    """What `put` says; it never shows the password of these tests."""
    with pytest.raises(OutboxUnavailable) as raised:
        outbox.put([event()])
    message = str(raised.value)
    assert outbox.location in message
    assert "secret" not in message
    return message


def test_wrong_password_is_named_without_it(locked: RedisServer) -> None:
    outbox = RedisOutbox(with_password(locked, "secret"))

    with pytest.raises(ConfigurationError) as raised:
        outbox.check()

    assert "password is wrong; correct it in the URL" in str(raised.value)
    assert f"127.0.0.1:{locked.port}" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "password is wrong" in message_of(outbox)


def test_missing_password_is_asked_for(locked: RedisServer) -> None:
    outbox = RedisOutbox(locked.url)

    with pytest.raises(ConfigurationError, match="wants a password; put it into the"):
        outbox.check()

    assert "wants a password" in message_of(outbox)


def test_right_password_opens(locked: RedisServer) -> None:
    outbox = RedisOutbox(with_password(locked, "right"))
    outbox.check()
    outbox.put([event()])
    assert outbox.status().pending == 1
    outbox.close()


def test_password_that_the_server_does_not_have_is_told(server: RedisServer) -> None:
    url = server.url.replace("//", "//someone:secret@")
    with pytest.raises(ConfigurationError, match="password is wrong"):
        RedisOutbox(url).check()


def test_user_who_may_not_is_told(server: RedisServer) -> None:
    raw(server.url).acl_setuser(
        "reader", enabled=True, passwords=["+secret"], keys=["*"], commands=["+ping"]
    )
    outbox = RedisOutbox(server.url.replace("//", "//reader:secret@"))

    with pytest.raises(ConfigurationError, match="may not do what an outbox does"):
        outbox.check()

    assert "may not do what an outbox does" in message_of(outbox)


@pytest.mark.parametrize(
    "url",
    [
        "redis:/secret",
        "http://:secret@localhost",
        "redis://:secret@localhost:port/0",
        "redis://:secret@localhost/x",
        "redis://:secret@localhost/0?socket_timeout=soon",
        "redis://:secret@localhost/0?no_such_option=1",
    ],
)
def test_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="The outbox location is") as raised:
        RedisOutbox(url)

    assert ":secret" not in str(raised.value)


def test_what_is_no_redis_is_told() -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1_024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match="is not a Redis; correct host"):
            RedisOutbox(f"redis://127.0.0.1:{port}").check()
        thread.join()


def test_outbox_of_a_newer_version_is_refused(server: RedisServer) -> None:
    outbox = RedisOutbox(server.url, prefix="newer")
    outbox.put([event()])
    raw(server.url).set("newer:{outbox}:form", 2)

    with pytest.raises(ConfigurationError, match=r"newer version .* in form 2; update"):
        outbox.check()


def test_stopped_server_is_told_and_used_again_when_it_is_back() -> None:
    with redis_server() as server:
        outbox = RedisOutbox(server.url)
        row = event()
        outbox.put([row])
        server.stop()
        with pytest.raises(OutboxUnavailable, match=r"cannot be reached .* look if it"):
            outbox.check()
        assert "cannot be reached" in message_of(outbox)
        with pytest.raises(OutboxUnavailable):
            outbox.submit([event()]).result(10)

        server.start()

        outbox.put([event()])
        assert len(outbox.claim("w", most=9, lease=60)) == 2
        outbox.close()


def test_connections_that_a_restart_cut_are_not_noticed() -> None:
    with redis_server() as server:
        outbox = RedisOutbox(server.url)
        for _ in range(3):
            outbox.put([event()])
            outbox.claim("w", most=9, lease=60)
            server.kill()
            server.start()
            # The client still keeps the connection that was cut.
            outbox.put([event()])
        assert outbox.status().in_flight + outbox.status().pending == 6
        outbox.close()


def test_server_that_hangs_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        outbox = RedisOutbox(f"redis://127.0.0.1:{port}?socket_timeout=0.1")
        with pytest.raises(OutboxUnavailable, match="did not answer in time; look"):
            outbox.check()
        outbox.close()


def test_read_only_replica_is_told(server: RedisServer) -> None:
    with redis_server("--replicaof", f"127.0.0.1 {server.port}") as replica:
        outbox = RedisOutbox(replica.url)
        assert "is a read-only replica; give the URL of the" in message_of(outbox)
        outbox.close()


def test_full_memory_refuses_all_of_a_batch_and_lets_rows_be_delivered() -> None:
    with redis_server("--maxmemory", "4mb", "--appendfsync", "no") as server:
        outbox = RedisOutbox(server.url)
        outbox.put([replace(event(), state="parked", error="no") for _ in range(150)])
        stored, message = 0, ""
        while not message:
            try:
                outbox.put([usage(str(number)) for number in range(50)])
                stored += 50
            except OutboxUnavailable as error:
                message = str(error)
        assert "is out of memory; raise its maxmemory" in message
        assert outbox.status().pending == stored
        assert "out of memory" in message_of(outbox)

        delivered = 0
        while rows := outbox.claim("w", most=100, lease=60):
            outbox.extend("w", [row.id for row in rows], lease=60)
            outbox.finish("w", [Delivered(id=row.id) for row in rows])
            delivered += len(rows)

        assert delivered == stored
        assert outbox.status().delivered == stored
        raw(server.url).config_set("maxmemory", "64mb")
        outbox.put([event()])
        outbox.close()


def test_loading_server_is_told() -> None:
    with redis_server() as server:
        outbox = RedisOutbox(f"{server.url}?socket_timeout=5")
        outbox.put([event() for _ in range(6_000)])
        outbox.close()
        server.kill()
        slow = RedisServer(server.folder, "--key-load-delay", "500")
        starting = threading.Thread(target=slow.start)
        starting.start()
        outbox = RedisOutbox(f"{slow.url}?socket_timeout=5")
        message = ""
        while starting.is_alive() and "loading" not in message:
            try:
                outbox.put([event()])
            except OutboxUnavailable as error:
                message = str(error)
        starting.join()
        assert "is loading its data after a start; wait for it" in message
        assert outbox.status().pending >= 6_000
        outbox.close()
        slow.kill()


def test_cluster_node_that_serves_no_slot_is_told() -> None:
    with redis_server("--cluster-enabled", "yes", "--cluster-port", free_port()) as one:
        outbox = RedisOutbox(one.url)
        assert "the cluster is down; start its nodes" in message_of(outbox)
        outbox.close()


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_cluster_keeps_an_outbox(scheme: str) -> None:
    with redis_server("--cluster-enabled", "yes", "--cluster-port", free_port()) as one:
        node = raw(one.url)
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        give_up = time.monotonic() + 20
        while node.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            assert time.monotonic() < give_up, "the cluster does not come up"
        keeps_and_delivers(f"{scheme}://127.0.0.1:{one.port}")


def test_an_outbox_is_found_through_sentinels_of_which_one_is_gone() -> None:
    with redis_server() as server, redis_sentinel(server.port, "usage") as port:
        keeps_and_delivers(
            f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/usage/0"
        )


def keeps_and_delivers(url: str) -> None:
    outbox = RedisOutbox(url)
    outbox.check()
    outbox.put([usage("a"), usage("a"), event()])
    claimed = outbox.claim("w", most=9, lease=60)
    assert len(claimed) == 3
    outbox.finish("w", [Delivered(id=row.id) for row in claimed])
    assert outbox.status().delivered == 3
    outbox.close()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [each for each in caplog.records if each.levelno >= logging.WARNING]
    return [each.getMessage() for each in found]


def test_server_that_may_forget_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = ("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
    with redis_server(*options) as server:
        RedisOutbox(server.url).check()
    (message,) = warnings_of(caplog)
    assert "set appendonly yes" in message
    assert "may evict rows (allkeys-lru); set maxmemory-policy noeviction" in message


def test_server_that_keeps_everything_is_not_warned_of(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    RedisOutbox(server.url).check()
    assert warnings_of(caplog) == []


def test_server_that_does_not_say_is_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis_server("--appendonly", "no") as server:
        raw(server.url).acl_setuser(
            "app", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"]
        )
        outbox = RedisOutbox(server.url.replace("//", "//app:x@"))
        outbox.check()
        assert warnings_of(caplog) == []
        outbox.put([event()])
        outbox.close()
