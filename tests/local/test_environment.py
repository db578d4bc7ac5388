"""The real sidecar's environment variables, as the local one reads them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.environment import Environment
from sidecar_client.local.stores.file import FileStore
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.stores.redis import RedisStore


def test_without_variables_everything_is_as_by_default() -> None:
    environment = Environment.of({})
    assert environment == Environment()
    assert environment.ignored == ()
    assert isinstance(environment.store(), MemoryStore)


def test_all_variables_are_read() -> None:
    environment = Environment.of(
        {
            "GRPC_PORT": "80",
            "REDIS_ENVIRONMENT_PREFIX": "production",
            "REDIS_HOST": "10.0.0.5",
            "REDIS_PORT": "6380",
            "REDIS_DB": "3",
            "REDIS_USERNAME": "user",
            "REDIS_PASSWORD": "p@ss/word?",
            "REDIS_TLS": "1",
            "REDIS_KEYS_TTL_IN_SECS": "-1",
            "ENTITLEMENTS_FALLBACK": '{"seats": {"hasAccess": true}}',
            "OFFLINE": "TRUE",
            "LOG_LEVEL": "warn",
            "CACHE_MAX_SIZE_BYTES": "1024",
            "HEALTH_ENDPOINT_URL": "alive",
            "READY_ENDPOINT_URL": "/ready",
        }
    )
    assert environment.grpc_port == 80
    assert environment.entitlements_fallback == '{"seats": {"hasAccess": true}}'
    assert environment.offline
    assert environment.log_level == "WARNING"
    assert environment.cache_bytes == 1024
    assert (environment.health_path, environment.ready_path) == ("alive", "/ready")
    assert environment.ignored == ()
    redis = environment.redis
    assert redis is not None
    assert (redis.prefix, redis.keys_ttl) == ("production", -1)
    assert redis.location == "rediss://10.0.0.5:6380/3"
    told = {name: redis.options[name] for name in ("host", "port", "db")}
    assert told == {"host": "10.0.0.5", "port": 6380, "db": 3}
    assert redis.options["username"] == "user"
    assert redis.options["password"] == "p@ss/word?"
    assert "p@ss" not in repr(environment)


def test_prefix_is_what_switches_redis_on() -> None:
    redis = Environment.of({"REDIS_ENVIRONMENT_PREFIX": "dev"}).redis
    assert redis is not None
    assert redis.location == "redis://localhost:6379/0"
    assert redis.keys_ttl == 604_800
    environment = Environment.of({"REDIS_HOST": "h", "REDIS_PASSWORD": "p"})
    assert environment.redis is None
    assert environment.ignored == ("REDIS_HOST", "REDIS_PASSWORD")


def test_empty_variables_count_as_not_set() -> None:
    text = "GRPC_PORT REDIS_ENVIRONMENT_PREFIX REDIS_DB LOG_LEVEL PORT OFFLINE"
    empty: dict[str, str] = dict.fromkeys(text.split(" "), "")
    assert Environment.of(empty) == Environment()


def test_what_has_no_meaning_is_named_once_and_without_its_value(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = "SERVER_API_KEY API_URL EDGE_ENABLED EDGE_API_URL WS_ENABLED WS_URL PORT"
    names = text.split()
    environment = Environment.of({**dict.fromkeys(names, "s3cret"), "HOME": "/"})
    caplog.set_level(logging.INFO)
    environment.tell_ignored()
    Environment().tell_ignored()
    (record,) = caplog.records
    assert ", ".join(names) in record.getMessage()
    assert "s3cret" not in record.getMessage()


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "Yes", "on"])
def test_switches_that_are_on(text: str) -> None:
    assert Environment.of({"OFFLINE": text}).offline


@pytest.mark.parametrize("text", ["0", "false", "No", "off", ""])
def test_switches_that_are_off(text: str) -> None:
    assert not Environment.of({"OFFLINE": text}).offline


@pytest.mark.parametrize(
    ("name", "text", "cure"),
    [
        ("GRPC_PORT", "https", "use a whole number from 0 to 65535"),
        ("GRPC_PORT", "65536", "use a whole number from 0 to 65535"),
        ("REDIS_PORT", "0", "use a whole number from 1 to 65535"),
        ("REDIS_DB", "-1", "use a whole number from 0"),
        ("REDIS_HOST", "redis://h", "use a host such as localhost"),
        ("REDIS_TLS", "maybe", "use 1 or true, 0 or false"),
        ("OFFLINE", "maybe", "use 1 or true, 0 or false"),
        ("LOG_LEVEL", "loud", "use error, warn, info or debug"),
        ("CACHE_MAX_SIZE_BYTES", "1GB", "use a whole number from 0"),
        ("CACHE_MAX_SIZE_BYTES", "9" * 30, "use a whole number from 0"),
        ("REDIS_KEYS_TTL_IN_SECS", "week", "use a whole number"),
    ],
)
def test_wrong_values_are_named_with_their_cure(
    name: str, text: str, cure: str
) -> None:
    variables = {"REDIS_ENVIRONMENT_PREFIX": "dev", name: text}
    with pytest.raises(ConfigurationError) as caught:
        Environment.of(variables)
    assert (
        str(caught.value)
        == f"the environment variable {name} is {text!r}; {cure}"
        + str(caught.value).partition(cure)[2]
    )


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("REDIS_ENVIRONMENT_PREFIX", "a b", "REDIS_ENVIRONMENT_PREFIX is 'a b'"),
        ("REDIS_KEYS_TTL_IN_SECS", "0", "REDIS_KEYS_TTL_IN_SECS is 0; use a number"),
    ],
)
def test_values_that_keys_cannot_have_are_named(
    name: str, text: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Environment.of({name: text})
    assert told in str(caught.value)


def test_store_that_is_named_wins_and_takes_prefix_and_expiry(tmp_path: Path) -> None:
    environment = Environment.of(
        {
            "REDIS_ENVIRONMENT_PREFIX": "dev",
            "REDIS_KEYS_TTL_IN_SECS": "60",
            "REDIS_PASSWORD": "of the other",
        }
    )
    assert isinstance(environment.store("memory"), MemoryStore)
    assert isinstance(environment.store(str(tmp_path / "sidecar.db")), FileStore)
    store = environment.store("redis://h:1/2")
    assert isinstance(store, RedisStore)
    assert (store.address.prefix, store.address.keys_ttl) == ("dev", 60)
    assert "password" not in store.address.options
    store = environment.store("redis://h/2?prefix=mine&ttl=5")
    assert isinstance(store, RedisStore)
    assert (store.address.prefix, store.address.keys_ttl) == ("mine", 5)


@pytest.mark.parametrize(
    "text", ["redis", "mongodb://u:pw@h/x", "sqlite:///x.db", "\0.db", "localhost"]
)
def test_what_names_no_store_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Environment().store(text)
    assert "use memory, a file such as ./sidecar.db, or a Redis" in str(caught.value)
    assert "pw" not in str(caught.value)
