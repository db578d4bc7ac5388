"""Holds in a Redis that speaks TLS: whom they trust, and what is said otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stigg_guard.metering.holds.base import HoldsUnavailable, Peek
from stigg_guard.metering.holds.redis import AsyncRedisHolds, RedisHolds
from tests.metering.holds.stores import PLACE, driven, driven_in_a_loop, want
from tests.redis_tls import TlsRedis, tls_redis


def _sync_failure(url: str) -> str:
    holds = RedisHolds(url)
    with pytest.raises(HoldsUnavailable) as caught:
        holds.perform(Peek(place=PLACE))
    holds.close()
    return str(caught.value)


def _async_failure(url: str) -> str:
    async def fail() -> str:
        holds = AsyncRedisHolds(url)
        with pytest.raises(HoldsUnavailable) as caught:
            await holds.perform(Peek(place=PLACE))
        await holds.aclose()
        return str(caught.value)

    return asyncio.run(fail())


@pytest.fixture(params=[_sync_failure, _async_failure], ids=["sync", "async"])
def failure(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The text of the error of a step on a URL."""
    found: Callable[[str], str] = request.param
    return found


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    with tls_redis(tmp_path_factory.mktemp("tls")) as running:
        yield running


def test_holds_are_shared_through_tls(redis: TlsRedis) -> None:
    url = redis.url(ssl_ca_certs=redis.authority)
    with (
        driven(RedisHolds(url)) as one,
        driven_in_a_loop(AsyncRedisHolds(url)) as other,
    ):
        assert one.take(want(units=4)).granted
        assert other.standing().held == 4
        assert not other.take(want(units=4)).granted


def test_unknown_authority_is_refused_with_the_cure(
    redis: TlsRedis, failure: Callable[[str], str]
) -> None:
    for url in (redis.url(), redis.url(ssl_ca_certs=redis.stranger)):
        said = failure(url)
        assert said.startswith("The hold store rediss://127.0.0.1")
        assert "signed by an authority that is not known here" in said
        assert "?ssl_ca_certs=/path/to/ca.pem" in said


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    """A server whose certificate is another host's."""
    names = "subjectAltName=DNS:redis.elsewhere.example"
    with tls_redis(tmp_path_factory.mktemp("elsewhere"), names=names) as running:
        yield running


def test_certificate_of_another_host_is_refused_unless_it_is_not_looked_at(
    elsewhere: TlsRedis, failure: Callable[[str], str]
) -> None:
    said = failure(elsewhere.url(ssl_ca_certs=elsewhere.authority))
    assert "its certificate is another host's" in said
    with driven(RedisHolds(elsewhere.url(ssl_cert_reqs="none"))) as trusting:
        assert trusting.standing().held == 0


def test_file_that_is_not_there_is_told(
    redis: TlsRedis, failure: Callable[[str], str], tmp_path: Path
) -> None:
    said = failure(redis.url(ssl_ca_certs=tmp_path / "no.pem"))
    assert "certificate that its URL names is not there" in said


def test_server_without_tls_is_told(
    redis: TlsRedis, failure: Callable[[str], str]
) -> None:
    url = f"rediss://127.0.0.1:{redis.server.port}/0?socket_connect_timeout=0.1"
    assert "TLS" in failure(url)
