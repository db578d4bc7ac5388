"""Everything that `doctor` looks at, in its order.

Sidecar and stores have files of their own; what a front end adds is in its adapter.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from stigg_guard.commands.finding import Finding
from stigg_guard.commands.sidecar_findings import of_target
from stigg_guard.commands.store_findings import of_holds, of_outbox
from stigg_guard.commands.words import counted
from stigg_guard.guard import Guard
from stigg_guard.settings import Settings

_PACKAGES: Final = (
    *("stigg-guard", "grpcio", "protobuf", "django", "djangorestframework", "flask"),
    *("starlette", "fastapi", "redis"),
)


def examine(guard: Guard, *, is_named: bool) -> Iterator[Finding]:
    """Every finding about a guard; `is_named` says that its sidecar was named."""
    yield versions()
    yield of_settings(guard.settings)
    yield from of_target(guard, is_named=is_named)
    yield from of_holds(guard)
    yield from of_outbox(guard)


def versions() -> Finding:
    """What is installed."""
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return Finding(level="ok", about="versions", words=", ".join(found))


def of_settings(settings: Settings) -> Finding:
    """The settings that decide what happens to most requests."""
    if settings.enabled is False or settings.shadow:
        what = "ENABLED is False" if settings.enabled is False else "SHADOW is True"
        return Finding(
            level="warn",
            about="settings",
            words=f"{what}: nobody is denied anything",
            cure="Leave it out when views are to be guarded.",
        )
    words = (
        f"TIMEOUT {settings.timeout:g} s, ON_UNAVAILABLE {settings.on_unavailable},"
        f" {counted(len(settings.rules), 'rule')}"
    )
    return Finding(level="ok", about="settings", words=words)
