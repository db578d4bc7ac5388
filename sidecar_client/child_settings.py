"""What a client's configuration tells the local sidecar that it starts.

All of it goes through environment variables, by the names that the real sidecar has
for it: passwords are on no command line. Starting the sidecar is in `launch`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from sidecar_client.errors import ConfigurationError
from sidecar_client.protocol.sidecar_pb2 import (
    EntitlementFallback,
    LocalSidecarConfig,
    RedisOptions,
)

_DEFAULTS: Final = {
    "REDIS_ENVIRONMENT_PREFIX": "",
    "REDIS_HOST": "localhost",
    "REDIS_PORT": "6379",
    "REDIS_DB": "0",
    "REDIS_USERNAME": "",
    "REDIS_TLS": "",
    "REDIS_KEYS_TTL_IN_SECS": "604800",
    "ENTITLEMENTS_FALLBACK": "",
    "CACHE_MAX_SIZE_BYTES": "",
    "OFFLINE": "",
}
"""What two clients of one sidecar have to agree on; a password is no part of it."""
_PASSWORD: Final = "REDIS_PASSWORD"  # noqa: S105 (a name)


def variables_of(config: LocalSidecarConfig | None) -> dict[str, str]:
    """What to add to the environment; `ConfigurationError` for what cannot be."""
    if config is None:
        return {}
    told: dict[str, str] = {}
    if config.HasField("redis"):
        told |= _redis(config.redis)
    if config.entitlements_fallback:
        told["ENTITLEMENTS_FALLBACK"] = _fallbacks(config.entitlements_fallback)
    if config.HasField("cache_max_size_bytes"):
        if config.cache_max_size_bytes < 0:
            raise ConfigurationError(
                "local_sidecar_config.cache_max_size_bytes is "
                f"{config.cache_max_size_bytes}; use a number of bytes from 0."
            )
        told["CACHE_MAX_SIZE_BYTES"] = str(config.cache_max_size_bytes)
    return told


def child_environment(
    inherited: Mapping[str, str], told: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the sidecar: of several Redis, only the one that was told."""
    if "REDIS_ENVIRONMENT_PREFIX" not in told:
        return {**inherited, **told}
    rest = {k: v for k, v in inherited.items() if not k.startswith("REDIS_")}
    return {**rest, **told}


def agreed(environment: Mapping[str, str]) -> dict[str, str]:
    """What clients that share a sidecar have to agree on, from its environment."""
    found = {name: environment.get(name) or std for name, std in _DEFAULTS.items()}
    if not found["REDIS_ENVIRONMENT_PREFIX"]:
        # Without it, the rest switches nothing on.
        return {k: v for k, v in found.items() if not k.startswith("REDIS_")}
    return found


def _redis(options: RedisOptions) -> dict[str, str]:
    if not options.environment_prefix:
        raise ConfigurationError(
            "local_sidecar_config.redis has no environment_prefix; give one, such as "
            "RedisOptions(environment_prefix='development')."
        )
    told = {"REDIS_ENVIRONMENT_PREFIX": options.environment_prefix}
    for name, variable in (
        ("host", "REDIS_HOST"),
        ("port", "REDIS_PORT"),
        ("db", "REDIS_DB"),
        ("username", "REDIS_USERNAME"),
        ("password", _PASSWORD),
        ("ttl", "REDIS_KEYS_TTL_IN_SECS"),
    ):
        if options.HasField(name):
            told[variable] = str(getattr(options, name))
    for variable, value in told.items():
        if "\0" in value:
            raise ConfigurationError(
                f"local_sidecar_config.redis has a NUL character in what becomes "
                f"{variable}; remove it."
            )
    return told


def _fallbacks(fallbacks: Mapping[str, EntitlementFallback]) -> str:
    """In the form of `ENTITLEMENTS_FALLBACK`: by feature, in camel case."""
    return json.dumps(
        {name: _fallback(fallbacks[name]) for name in sorted(fallbacks)},
        separators=(",", ":"),
    )


def _fallback(fallback: EntitlementFallback) -> dict[str, object]:
    kind = fallback.WhichOneof("fallback")
    if kind is None:
        return {"hasAccess": False}
    chosen = getattr(fallback, kind)
    told: dict[str, object] = {"hasAccess": chosen.has_access}
    for name, key in (
        ("value", "value"),
        ("usage_limit", "usageLimit"),
        ("is_unlimited", "isUnlimited"),
    ):
        if name in chosen.DESCRIPTOR.fields_by_name and chosen.HasField(name):
            told[key] = getattr(chosen, name)
    if kind == "enum":
        told["enumValues"] = list(chosen.enum_values)
    return told
