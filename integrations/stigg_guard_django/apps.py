"""The Django application: `settings.STIGG_GUARD` becomes the project's guards.

Nothing is read or connected at import; what can be wrong with it is told by `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.http import HttpRequest

from stigg_guard import ConfigurationError, Guard, Settings
from stigg_guard_django.guards import Guards

SETTING = "STIGG_GUARD"


class StiggGuardConfig(AppConfig):
    """Holds the guards: built at first use, without I/O; changed settings drop them."""

    name = "stigg_guard_django"
    label = "stigg_guard"
    verbose_name = "Stigg guard"

    _guards: Guards | None = None

    def ready(self) -> None:
        """Register the checks and listen for changed settings, as tests make them."""
        from stigg_guard_django import checks

        checks.register()
        # Once for each: a test that installs other applications makes another one.
        setting_changed.connect(self._on_setting_changed)

    @property
    def guards(self) -> Guards:
        """The project's guards; raises `ConfigurationError` for wrong settings."""
        if self._guards is None:
            from stigg_guard_django import signals

            self._guards = Guards.from_settings(read_settings())
            signals.connect(self._guards.sync)
        return self._guards

    def _on_setting_changed(self, *, setting: str, **_: Any) -> None:
        if setting == SETTING and self._guards is not None:
            self._guards.sync.close()
            self._guards = None


def read_settings() -> Settings:
    """The project's settings; raises `ConfigurationError` that names the key."""
    found: Any = getattr(django_settings, SETTING, {})
    if not isinstance(found, Mapping):
        raise ConfigurationError(
            f"{SETTING} is {found!r}; use a mapping, such as"
            f' {SETTING} = {{"TARGET": "localhost:80"}}.'
        )
    return Settings.from_mapping(cast("Mapping[str, Any]", found), name=SETTING)


def project_guards() -> Guards:
    """The guards of this project, or an error that says what to install."""
    try:
        config = apps.get_app_config(StiggGuardConfig.label)
    except LookupError as error:
        raise ConfigurationError(
            'stigg_guard_django is used but not installed; add "stigg_guard_django" to'
            " INSTALLED_APPS in the Django settings."
        ) from error
    assert isinstance(config, StiggGuardConfig)
    return config.guards


def guard_from(request: HttpRequest | None = None) -> Guard:
    """The project's guard, for questions of your own; `.aio` is its async twin.

    There is one for all requests, so it can be had without one too. Raises
    `ConfigurationError` when the application is not installed or set up wrongly.
    """
    return project_guards().sync
