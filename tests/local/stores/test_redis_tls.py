"""A store in a Redis that speaks TLS: whom it trusts, and what it says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.local.records import Usage
from sidecar_client.local.stores.base import Changes, StoreError
from sidecar_client.local.stores.redis import RedisStore
from sidecar_client.local.stores.redis_address import RedisAddress
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import ask
from tests.redis_tls import TlsRedis, tls_redis

NAME = "usage/a///"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    with tls_redis(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    """A server whose certificate is another host's."""
    names = "subjectAltName=DNS:redis.internal"
    with tls_redis(tmp_path_factory.mktemp("elsewhere"), names=names) as running:
        yield running


async def kept(store: RedisStore) -> float:
    """What comes back of something that is kept."""
    await store.open()
    await store.commit(Changes(written={NAME: Usage(total=7)}))
    record = (await store.read([NAME]))[0].record
    await store.close()
    assert isinstance(record, Usage)
    return record.total


async def failure(url: str) -> str:
    """The text of the error, after one try alone."""
    store = RedisStore(url)
    tries: list[Exception] = []
    store.failures.append(tries.append)
    with pytest.raises(StoreError) as caught:
        await store.open()
    await store.close()
    assert len(tries) == 1
    return str(caught.value)


async def test_certificate_of_a_known_authority_is_trusted(redis: TlsRedis) -> None:
    assert await kept(RedisStore(redis.url(ssl_ca_certs=redis.authority))) == 7


async def test_authority_may_be_one_that_the_system_is_told(
    redis: TlsRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As for REDIS_TLS, which has no place for a file.
    monkeypatch.setenv("SSL_CERT_FILE", str(redis.authority))
    parts = RedisAddress.of_parts(
        prefix="p", host="127.0.0.1", port=redis.port, tls=True
    )
    assert await kept(RedisStore(parts)) == 7


@pytest.mark.parametrize("named", [True, False])
async def test_unknown_authority_is_refused_at_once_with_the_cure(
    redis: TlsRedis, *, named: bool
) -> None:
    options = {"ssl_ca_certs": redis.stranger} if named else {}
    said = await failure(redis.url(**options))
    assert "signed by an authority that is not known here" in said
    assert "?ssl_ca_certs=/path/to/ca.pem" in said
    assert "_ssl.c" not in said


async def test_certificate_of_another_host_is_refused(elsewhere: TlsRedis) -> None:
    said = await failure(elsewhere.url(ssl_ca_certs=elsewhere.authority))
    assert "its certificate is another host's" in said
    assert "127.0.0.1" in said
    trusting = RedisStore(elsewhere.url(ssl_cert_reqs="none"))
    await trusting.open()
    await trusting.close()


async def test_file_that_is_not_there_is_told(redis: TlsRedis, tmp_path: Path) -> None:
    store = RedisStore(redis.url(ssl_ca_certs=tmp_path / "no.pem"), patience=0.1)
    with pytest.raises(
        StoreError, match=r"certificate that its URL names is not there"
    ):
        await store.open()


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
async def test_file_that_is_no_certificate_is_told(
    redis: TlsRedis, tmp_path: Path, option: str
) -> None:
    (tmp_path / "text").write_text("no certificate")
    of_client = option == "ssl_certfile"
    # Before its version 6, redis-py reads a certificate only along with its key.
    key = {"ssl_keyfile": tmp_path / "text"} if of_client else {}
    for name in ["text"] if of_client else ["text", ""]:
        url = redis.url(**{option: tmp_path / name}, **key)
        store = RedisStore(url, patience=0.1)
        with pytest.raises(StoreError, match="is none; name one in PEM form"):
            await store.open()


async def test_server_that_speaks_tls_alone_is_told(redis: TlsRedis) -> None:
    store = RedisStore(f"redis://127.0.0.1:{redis.port}/0", patience=0.1)
    with pytest.raises(StoreError, match="or speaks TLS alone"):
        await store.open()


async def test_server_without_tls_is_told(redis: TlsRedis) -> None:
    url = f"rediss://127.0.0.1:{redis.server.port}/0?socket_connect_timeout=0.1"
    store = RedisStore(url, patience=0.1)
    with pytest.raises(StoreError, match="or speaks no TLS there"):
        await store.open()


def test_sidecar_counts_through_tls(redis: TlsRedis) -> None:
    url = redis.url(ssl_ca_certs=redis.authority, prefix="whole")
    request = pb.ReportUsageRequest(
        customer_id="customer-demo-01", feature_id="feature-01-templates", value=1
    )
    with LocalSidecar(store=url) as one:
        first = ask(one, request).current_usage
    with LocalSidecar(store=url) as other:
        assert ask(other, request).current_usage == first + 1
