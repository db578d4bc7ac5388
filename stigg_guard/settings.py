"""The settings of an application: read once, checked, and passed on as one object.

What the values of single keys may be is said in `setting_values`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Final, Literal

from stigg_guard.decision import Reason
from stigg_guard.denial import (
    DEFAULT_TYPE_BASE,
    FeatureSettings,
    Html,
    NoCustomer,
)
from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.happening import Hook
from stigg_guard.metering.outbox.row import OnAmbiguous
from stigg_guard.requirement import Policy
from stigg_guard.rules import Rule
from stigg_guard.setting_values import READERS, Wrong, from_text
from stigg_guard.view import CustomerResolver, OnDenied, RequestCallable

ENVIRONMENT_PREFIX: Final = "STIGG_GUARD_"
_SWITCH: Final = "STIGG_GUARD_ENABLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Times are seconds; the names are the settings' keys.

    Make it with `from_mapping`, `from_options` or `from_env`, which check every value
    and raise `ConfigurationError` with the key, the value and the cure.
    """

    target: str = "127.0.0.1:80"
    """Where the sidecar listens, or `local` to start one; its forms are a client's."""
    customer: CustomerResolver | None = None
    """Request to customer id, Subject or None; sync or async; or its dotted path."""
    timeout: float = 0.25
    """The deadline of a check."""
    write_timeout: float = 2.0
    """The deadline of a report."""
    enabled: bool | Callable[[], bool] = True
    """Whether requests are guarded at all; asked for each, if it is a function.

    Where nothing is said, the environment's `STIGG_GUARD_ENABLED` counts."""
    shadow: bool = False
    """Whether a denied request is only noted, and its view runs all the same."""
    exempt_when: RequestCallable | None = None
    """A function of the request that says whether nothing is asked for it."""
    on_unavailable: Policy = "allow"
    """What to do when the sidecar gives no verdict and nothing else is known."""
    last_known_for: float = 3600
    """How long a decision may stand in when there is no verdict; 0: never."""
    remember: float = 0
    """How long a boolean, numeric or enum decision may be used again; 0: ask always."""
    remember_customers: int = 10_000
    """How many customers' decisions are kept in a process."""
    rules: tuple[Rule, ...] = ()
    """Needs by method and path template."""
    upgrade_url: str | None = None
    """Where a 402 leads to."""
    statuses: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    """Statuses that replace those of the denial table."""
    features: Mapping[str, FeatureSettings] = field(
        default_factory=dict[str, FeatureSettings]
    )
    """Settings of single features or currencies, by id."""
    no_customer: NoCustomer = "forbid"
    """`forbid` (403), `unauthorized` (401) or `login` (browsers go to LOGIN_URL)."""
    login_url: str | None = None
    """Where a browser without a customer is sent when NO_CUSTOMER is `login`."""
    html: Html = "page"
    """What a browser gets for a 402: a `page`, or a `redirect` to UPGRADE_URL."""
    on_denied: OnDenied | None = None
    """The application's own answer: a function, a status, a URL or a template."""
    cache_control: str | None = "private"
    """The Cache-Control of guarded views that set none; None: nothing is added."""
    problem_type_base: str = DEFAULT_TYPE_BASE
    """What the `type` of a problem document begins with."""
    retry_after: int = 5
    """The Retry-After of a 503."""
    root_certificates: str | None = None
    """The path of a PEM file: turns TLS on and is the root to trust."""
    catalog: str | None = None
    """The catalog of the local sidecar; without one it serves the demo catalog."""
    local_port: int = 8443
    """Where the local sidecar listens."""
    holds: str = "memory"
    """Where requests in flight hold their units: `memory`, or the URL of a Redis."""
    holds_on_unavailable: Literal["memory", "deny"] = "memory"
    """What to do when that Redis is gone: hold in memory meanwhile, or deny."""
    holds_wait: float = 1.0
    """How long a request waits for units that others hold; 0: it is denied at once."""
    holds_lease: float = 30.0
    """When a hold is given back whose process died."""
    usage_seen_within: float = 60.0
    """How long calculated usage may be missing in the sidecar's answers."""
    events_seen_within: float = 10.0
    """How long raw events may be missing in the sidecar's answers."""
    outbox: str | None = None
    """Where usage waits that is not acknowledged: a path, a Redis, `django`, ..."""
    outbox_synchronous: Literal["full", "normal"] = "full"
    """SQLite: what was stored survives a power cut (`full`), or a kill (`normal`)."""
    outbox_worker: bool = True
    """Whether this process delivers; if not, `stigg-guard outbox run` has to."""
    on_ambiguous: OnAmbiguous = "reconcile"
    """What becomes of a change that may have arrived: `reconcile`, or `park`."""
    queue_size: int = 10_000
    """Without an outbox: how many measurements are kept in memory."""
    on_queue_full: Literal["wait", "drop"] = "wait"
    """Without an outbox: wait for room up to WRITE_TIMEOUT, or drop at once."""
    drain_timeout: float = 5.0
    """How long the end of the process waits for what is still to be sent."""
    redis_prefix: str = "stigg_guard"
    """What the keys in Redis begin with."""
    webhook_secret: tuple[str, ...] = field(default=(), repr=False)
    """The secret that the vendor's webhooks carry; several while it is changed."""
    webhook_store: str | None = None
    """Where all processes learn of webhooks: `memory`, or the URL of a Redis."""
    hooks: Mapping[str, tuple[Hook, ...]] = field(
        default_factory=dict[str, tuple[Hook, ...]]
    )
    """Functions that are told of metering's outcomes, by the outcome's name."""
    rate_limit_headers: Mapping[str, str] | None = None
    """Names of response headers for limit, remaining and reset; None: none."""

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], *, name: str = "STIGG_GUARD"
    ) -> Settings:
        """Settings from a mapping with upper-case keys, such as Django's."""
        return _read(_switched(mapping), lambda key: f'{name}["{key}"]')

    @classmethod
    def from_options(cls, options: Mapping[str, Any], *, owner: str) -> Settings:
        """Settings from keyword arguments of `owner`, in lower case."""
        values = _as_keys(options, owner)
        return _read(_switched(values), lambda key: f"{owner}({key.lower()}=...)")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Settings from `STIGG_GUARD_TARGET` and its like; RULES is written as JSON."""
        environ = os.environ if environ is None else environ
        keys = {
            name.removeprefix(ENVIRONMENT_PREFIX): text
            for name, text in environ.items()
            if name.startswith(ENVIRONMENT_PREFIX)
        }
        return _read(
            {key: from_text(key, text) for key, text in keys.items()},
            lambda key: ENVIRONMENT_PREFIX + key,
        )

    @classmethod
    def from_flat(
        cls,
        mapping: Mapping[str, Any],
        *,
        options: Mapping[str, Any] | None = None,
        owner: str = "",
    ) -> Settings:
        """Settings from keys with the prefix `STIGG_GUARD_`, such as Flask's.

        `options` are keyword arguments of `owner`, in lower case; they win.
        """
        given = _as_keys(options or {}, owner)
        values = {
            name.removeprefix(ENVIRONMENT_PREFIX): value
            for name, value in mapping.items()
            if name.startswith(ENVIRONMENT_PREFIX)
        }
        return _read(
            _switched(values | given),
            lambda key: (
                f"{owner}({key.lower()}=...)"
                if key in given
                else ENVIRONMENT_PREFIX + key
            ),
        )


def _switched(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values with the kill switch of the environment, where they have none."""
    text = os.environ.get(_SWITCH)
    if text is None or "ENABLED" in values:
        return values
    switch = _value(READERS["ENABLED"], from_text("ENABLED", text), _SWITCH)
    return {**values, "ENABLED": switch}


def _as_keys(options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    for name in options:
        if name != name.lower() or name.upper() not in READERS:
            raise _unknown(name, lambda key: f"{owner}({key.lower()}=...)", str.lower)
    return {name.upper(): value for name, value in options.items()}


def _read(mapping: Mapping[str, Any], label: Callable[[str], str]) -> Settings:
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        reader = READERS.get(key)
        if reader is None:
            raise _unknown(key, label, str)
        values[key.lower()] = _value(reader, value, label(key))
    settings = Settings(**values)
    _check_together(settings, label)
    return settings


def _value(reader: Callable[[Any], Any], value: Any, label: str) -> Any:
    try:
        return reader(value)
    except Wrong as wrong:
        shown = f'"{value}"' if isinstance(value, str) else repr(value)
        raise ConfigurationError(f"{label} is {shown}; {wrong}.") from wrong.__cause__
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{label}: {error}") from error


def _unknown(
    key: str, label: Callable[[str], str], spell: Callable[[str], str]
) -> ConfigurationError:
    close = get_close_matches(str(key).upper(), READERS, n=1)
    hint = f" Did you mean {label(close[0])}?" if close else ""
    return ConfigurationError(
        f"{label(key)} is not a setting.{hint}"
        f" The settings are: {', '.join(map(spell, READERS))}."
    )


def _check_together(settings: Settings, label: Callable[[str], str]) -> None:
    if settings.no_customer == "login" and settings.login_url is None:
        raise ConfigurationError(
            f'{label("NO_CUSTOMER")} is "login", but there is no {label("LOGIN_URL")};'
            " set the URL to send people to."
        )
    if settings.html == "redirect" and settings.upgrade_url is None:
        raise ConfigurationError(
            f'{label("HTML")} is "redirect", but there is no {label("UPGRADE_URL")};'
            " set the URL to send people to."
        )
    if settings.catalog is not None and settings.target != "local":
        raise ConfigurationError(
            f'{label("CATALOG")} is "{settings.catalog}", but {label("TARGET")} is'
            f' "{settings.target}"; a catalog is for the target "local".'
        )


assert {item.name.upper() for item in fields(Settings)} == set(READERS)
