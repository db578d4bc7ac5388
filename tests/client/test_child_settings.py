"""What `LocalSidecarConfig` tells the local sidecar that a client starts."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar_client import (
    ConfigurationError,
    EntitlementFallback,
    EnumEntitlementFallback,
    LocalSidecarConfig,
    MeteredEntitlementFallback,
    NumericEntitlementFallback,
    RedisOptions,
    SyncStigg,
)
from sidecar_client.child_settings import agreed, child_environment, variables_of
from tests.client.test_local_child import TWO_MORE, port, sidecars, usage
from tests.redis_server import RedisServer, redis_server

__all__ = ["port"]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server("--requirepass", "s3cret", "--appendonly", "no") as server:
        yield server


def options(redis: RedisServer, **changed: object) -> LocalSidecarConfig:
    told: dict[str, object] = {
        "environment_prefix": "development",
        "host": "127.0.0.1",
        "port": redis.port,
        "db": 0,
        "password": "s3cret",
        **changed,
    }
    return LocalSidecarConfig(redis=RedisOptions(**told))  # type: ignore[arg-type]


def test_redis_of_the_sdk_page_keeps_usage_beyond_the_sidecar(
    port: int, redis: RedisServer
) -> None:
    for expected in (3, 5):
        with SyncStigg(
            local_sidecar_port=port, local_sidecar_config=options(redis)
        ) as stigg:
            assert usage(stigg) == expected
            stigg.report_usage(TWO_MORE, timeout=10)
            (pid,) = sidecars(port)
            assert "s3cret" not in Path(f"/proc/{pid}/cmdline").read_text()
        while sidecars(port):
            pass


def test_clients_with_other_settings_do_not_share_a_sidecar(
    port: int, redis: RedisServer
) -> None:
    with SyncStigg(
        local_sidecar_port=port,
        local_sidecar_config=options(redis, environment_prefix="one"),
    ) as first:
        usage(first)
        for other, told in (
            (
                options(redis, environment_prefix="two"),
                "runs with REDIS_ENVIRONMENT_PREFIX=one, not with "
                "REDIS_ENVIRONMENT_PREFIX=two; give one of the two applications",
            ),
            (
                options(redis, environment_prefix="one", ttl=60),
                "REDIS_KEYS_TTL_IN_SECS=604800, not with REDIS_KEYS_TTL_IN_SECS=60",
            ),
            (None, "runs with REDIS_DB=0, not with REDIS_DB="),
        ):
            with (
                SyncStigg(local_sidecar_port=port, local_sidecar_config=other) as stigg,
                pytest.raises(ConfigurationError) as caught,
            ):
                usage(stigg)
            assert told in str(caught.value)
            assert "s3cret" not in str(caught.value)
        # The defaults, spelt out, are no other settings.
        with SyncStigg(
            local_sidecar_port=port,
            local_sidecar_config=options(redis, environment_prefix="one", ttl=604800),
        ) as same:
            usage(same)


def test_redis_that_is_not_there_is_told_by_the_first_call(port: int) -> None:
    config = LocalSidecarConfig(
        redis=RedisOptions(environment_prefix="p", port=1, password="s3cret")
    )
    with (
        SyncStigg(local_sidecar_port=port, local_sidecar_config=config) as stigg,
        pytest.raises(ConfigurationError) as caught,
    ):
        usage(stigg)
    assert "The store redis://localhost:1/0 is out:" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_all_that_the_sidecar_has_a_use_for_reaches_it() -> None:
    config = LocalSidecarConfig(
        redis=RedisOptions(
            environment_prefix="p",
            host="h",
            port=1,
            db=2,
            username="u",
            password="w",
            ttl=-1,
        ),
        entitlements_fallback={
            "seats": EntitlementFallback(
                metered=MeteredEntitlementFallback(has_access=True, usage_limit=1000)
            ),
            "size": EntitlementFallback(
                numeric=NumericEntitlementFallback(has_access=True, value=5)
            ),
            "regions": EntitlementFallback(
                enum=EnumEntitlementFallback(has_access=True, enum_values=["eu"])
            ),
            "other": EntitlementFallback(),
        },
        cache_max_size_bytes=1024,
        ws_enabled=True,
    )
    variables = variables_of(config)
    assert json.loads(variables.pop("ENTITLEMENTS_FALLBACK")) == {
        "seats": {"hasAccess": True, "usageLimit": 1000},
        "size": {"hasAccess": True, "value": 5},
        "regions": {"hasAccess": True, "enumValues": ["eu"]},
        "other": {"hasAccess": False},
    }
    assert variables == {
        "REDIS_ENVIRONMENT_PREFIX": "p",
        "REDIS_HOST": "h",
        "REDIS_PORT": "1",
        "REDIS_DB": "2",
        "REDIS_USERNAME": "u",
        "REDIS_PASSWORD": "w",
        "REDIS_KEYS_TTL_IN_SECS": "-1",
        "CACHE_MAX_SIZE_BYTES": "1024",
    }
    assert variables_of(None) == variables_of(LocalSidecarConfig()) == {}


def test_redis_that_was_told_has_nothing_of_the_environment_s() -> None:
    inherited = {"PATH": "/bin", "REDIS_PASSWORD": "theirs", "REDIS_TLS": "1"}
    told = {"REDIS_ENVIRONMENT_PREFIX": "p", "REDIS_HOST": "h"}
    assert child_environment(inherited, told) == {"PATH": "/bin", **told}
    assert child_environment(inherited, {}) == inherited


def test_passwords_are_nothing_to_agree_on() -> None:
    variables = {"REDIS_ENVIRONMENT_PREFIX": "p", "REDIS_PASSWORD": "w"}
    assert "w" not in agreed(variables).values()
    # Of an application that uses a Redis for something else.
    assert agreed({"REDIS_HOST": "h"}) == agreed({})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            LocalSidecarConfig(redis=RedisOptions(host="h")),
            "local_sidecar_config.redis has no environment_prefix; give one",
        ),
        (
            LocalSidecarConfig(
                redis=RedisOptions(environment_prefix="p", password="a\0b")
            ),
            "a NUL character in what becomes REDIS_PASSWORD; remove it",
        ),
        (
            LocalSidecarConfig(cache_max_size_bytes=-1),
            "cache_max_size_bytes is -1; use a number of bytes from 0",
        ),
    ],
)
def test_what_cannot_be_is_told_when_the_client_is_made(
    config: LocalSidecarConfig, told: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SyncStigg(local_sidecar_config=config)
    assert told in str(caught.value)


def test_what_the_environment_says_is_named_once_where_it_has_no_use(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("API_URL", "https://secret.example")
    monkeypatch.setenv("REDIS_HOST", "h")
    monkeypatch.setenv("GRPC_PORT", "no port of the child's")
    caplog.set_level(logging.INFO)
    with SyncStigg(local_sidecar_port=port) as stigg:
        usage(stigg)
        usage(stigg)
    while sidecars(port):
        pass
    text = "Of the environment, API_URL, REDIS_HOST: the local sidecar has no use"
    assert caplog.text.count(text) == 1
    assert "secret.example" not in caplog.text
    assert os.environ["API_URL"]
