"""What a failed call becomes, in both clients alike."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from sidecar_client import (
    GetEntitlementRequest,
    SidecarError,
    SidecarRejected,
    SidecarTimeout,
    SidecarUnavailable,
    Stigg,
    SyncStigg,
)
from tests.client.servers import QUESTION, Fail, Say, Server

REJECTED = [
    code
    for code in grpc.StatusCode
    if code.name
    not in {
        "OK",
        "UNAVAILABLE",
        "CANCELLED",
        "RESOURCE_EXHAUSTED",
        "DEADLINE_EXCEEDED",
    }
]


async def failures_of(
    target: str,
    *,
    roots: bytes | None = None,
    question: GetEntitlementRequest = QUESTION,
    timeout: float = 2,
) -> list[SidecarError]:
    """Ask with each client, and return the two errors."""
    found: list[SidecarError] = []
    with SyncStigg(target=target, root_certificates=roots) as stigg:
        with pytest.raises(SidecarError) as raised:
            stigg.get_entitlement(question, timeout=timeout)
        found.append(raised.value)
    async with Stigg(target=target, root_certificates=roots) as asynchronous:
        with pytest.raises(SidecarError) as raised:
            await asynchronous.get_entitlement(question, timeout=timeout)
        found.append(raised.value)
    return found


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, SidecarUnavailable),
        (grpc.StatusCode.CANCELLED, SidecarUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, SidecarUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, SidecarTimeout),
        *((code, SidecarRejected) for code in REJECTED),
    ],
)
async def test_status_code_becomes_its_error(
    code: grpc.StatusCode, kind: type[SidecarError]
) -> None:
    with Server(Fail(code)) as server:
        for failure in await failures_of(server.target):
            assert type(failure) is kind
            assert failure.code == code.name
            assert failure.method == "GetEntitlement"
            assert failure.target == server.target
            assert failure.__cause__ is not None


@pytest.mark.parametrize(
    "details",
    [
        "CLIENT: Sent message larger than max (17000000 vs. 16777216)",
        "SERVER: Received message larger than max (17000000 vs. 16777216)",
        "grpc: received message after decompression larger than max (2 vs. 1)",
        "Attempted to send message with a size larger than 4194304",
        "gRPC message exceeds maximum size 4194304: 5000000",
        "received metadata size exceeds hard limit (20000 vs. 16384)",
    ],
)
async def test_a_question_over_a_limit_of_size_is_no_outage(details: str) -> None:
    with Server(Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, details)) as server:
        for failure in await failures_of(server.target):
            assert type(failure) is SidecarRejected
            assert failure.code == "RESOURCE_EXHAUSTED"


LARGEST = 16 << 20


@pytest.mark.parametrize("customer", ["a" * (5 << 20), "a" * (LARGEST + 1)])
async def test_an_oversized_id_is_rejected_by_either_side(customer: str) -> None:
    question = GetEntitlementRequest(customer_id=customer, feature_id="f")
    with Server() as server:  # takes 4 MiB, as gRPC's servers do
        for failure in await failures_of(server.target, question=question, timeout=10):
            assert type(failure) is SidecarRejected
            assert "larger than max" in failure.cause


async def test_an_oversized_answer_is_rejected() -> None:
    with Server(Say(b"a" * (LARGEST + 1))) as server:
        for failure in await failures_of(server.target, timeout=10):
            assert type(failure) is SidecarRejected
            assert "larger than max" in failure.cause


async def test_oversized_details_are_rejected() -> None:
    long = Fail(grpc.StatusCode.INVALID_ARGUMENT, "d" * 60_000)
    with Server(long) as server:
        for failure in await failures_of(server.target):
            assert type(failure) is SidecarRejected
            assert "metadata size exceeds" in failure.cause
            assert failure.code == "RESOURCE_EXHAUSTED"


async def test_message_names_method_target_cause_and_code() -> None:
    with Server(Fail(grpc.StatusCode.INVALID_ARGUMENT, "no such customer")) as server:
        for failure in await failures_of(server.target):
            assert str(failure) == (
                f"GetEntitlement on {server.target}: no such customer "
                "(INVALID_ARGUMENT)"
            )


async def test_unknown_method_says_that_this_is_no_sidecar_or_an_old_one() -> None:
    with Server(Fail(grpc.StatusCode.UNIMPLEMENTED)) as server:
        for failure in await failures_of(server.target):
            assert "not a Stigg sidecar, or one too old" in failure.cause


async def test_nothing_listening_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        refused = f"127.0.0.1:{taken.getsockname()[1]}"
        for target in (refused, f"unix:{tmp_path}/none.sock"):
            for failure in await failures_of(target):
                assert type(failure) is SidecarUnavailable
                assert failure.target == target


class Talker:
    """Listens, and says its line to everyone who connects."""

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                if self._line:
                    connection.sendall(self._line)
                    connection.recv(1024)


@pytest.fixture
def web_server() -> Iterator[str]:
    handler = http.server.SimpleHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.log_message = lambda *_: None  # type: ignore[method-assign] # quiet
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_web_server_is_told_from_a_sidecar(web_server: str) -> None:
    for failure in await failures_of(web_server):
        assert type(failure) is SidecarUnavailable
        assert "it speaks no gRPC; is the port right?" in failure.cause


async def test_another_protocol_is_told_from_a_sidecar() -> None:
    talker = Talker(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    for failure in await failures_of(talker.target):
        assert type(failure) is SidecarUnavailable
        assert "it speaks no gRPC" in failure.cause
    talker.close()


async def test_a_peer_that_hangs_up_may_speak_tls() -> None:
    talker = Talker(b"")
    for failure in await failures_of(talker.target):
        assert type(failure) is SidecarUnavailable
        assert "if it speaks TLS, pass root_certificates" in failure.cause
    talker.close()


async def test_a_host_that_swallows_connections_is_unavailable_in_its_deadline() -> (
    None
):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Once the backlog is full, the kernel drops what comes, as a firewall does.
        held = [socket.socket() for _ in range(4)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(address)
        for failure in await failures_of(f"127.0.0.1:{address[1]}", timeout=5):
            assert type(failure) is SidecarUnavailable
        for one in held:
            one.close()


async def test_a_call_that_was_never_sent_says_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    for target in (nobody, "unix:/nowhere/sidecar.sock", "dns:///nowhere.invalid:80"):
        for failure in await failures_of(target):
            assert not failure.may_have_arrived, failure


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE"])
async def test_a_refusal_says_that_nothing_was_done(code: str) -> None:
    with Server(Fail(grpc.StatusCode[code])) as server:
        for failure in await failures_of(server.target):
            assert not failure.may_have_arrived


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "ABORTED"])
async def test_an_error_amid_the_work_may_come_after_it(code: str) -> None:
    with Server(Fail(grpc.StatusCode[code])) as server:
        for failure in await failures_of(server.target):
            assert failure.may_have_arrived
