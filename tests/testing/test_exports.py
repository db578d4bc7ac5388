"""The kit's public names, and what it costs to import them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import stigg_guard.testing

HEAVY = (
    "django",
    "flask",
    "starlette",
    "fastapi",
    "grpc",
    "pydantic",
    "yaml",
    "redis",
    "sqlite3",
    "pytest",
)


def test_public_names_are_these() -> None:
    assert sorted(stigg_guard.testing.__all__) == [
        "OverrideError",
        "credits",
        "denied",
        "enum",
        "metered",
        "override_entitlements",
        "recorded_usage",
        "slow_sidecar",
        "unavailable_sidecar",
    ]
    names = stigg_guard.testing.__all__
    assert all(hasattr(stigg_guard.testing, name) for name in names)


def loaded_after(statement: str) -> set[str]:
    """Which of the heavy modules are there once a new interpreter has done this."""
    code = f"import sys; {statement}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    return {name for name in HEAVY if name in found.stdout.split()}


def test_import_of_the_kit_imports_no_framework_no_grpc_and_no_pytest() -> None:
    assert loaded_after("import stigg_guard.testing") == set()


def test_plugin_imports_pytest_and_nothing_else_that_is_heavy() -> None:
    module = "stigg_guard.testing.pytest_plugin"
    assert loaded_after(f"import {module}") == {"pytest"}


def test_override_contacts_nothing_and_so_needs_no_grpc() -> None:
    used = (
        "from stigg_guard import Guard, Subject;"
        "from stigg_guard.testing import override_entitlements as o;"
        "o({'a': True}).__enter__();"
        "assert Guard().check(Subject('c'), 'a');"
        "Guard().report_event(Subject('c'), 'e')"
    )
    assert loaded_after(used) == set()


def test_plugin_is_found_by_its_entry_point(pytestconfig: pytest.Config) -> None:
    plugin = pytestconfig.pluginmanager.get_plugin("stigg_guard")
    assert getattr(plugin, "__name__", "") == "stigg_guard.testing.pytest_plugin"
