"""A missing extra is one error that says what to type."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == {module!r} else found(name)
import {adapter}
"""

INSTALLED_BY = {
    "rest_framework": "'stigg-guard[drf]'",
    "drf_spectacular": "drf-spectacular",
    "ninja": "django-ninja",
}


@pytest.mark.parametrize(
    ("module", "adapter"),
    [
        ("celery", "stigg_guard_celery"),
        ("django", "stigg_guard_django"),
        ("flask", "stigg_guard_flask"),
        ("starlette", "stigg_guard_starlette"),
        ("fastapi", "stigg_guard_starlette.fastapi"),
        ("rest_framework", "stigg_guard_django.drf"),
        ("drf_spectacular", "stigg_guard_django.spectacular"),
        ("ninja", "stigg_guard_django.ninja"),
    ],
)
def test_adapter_without_its_framework_says_what_to_install(
    module: str, adapter: str
) -> None:
    line = INSTALLED_BY.get(module, f"'stigg-guard[{module}]'")
    program = WITHOUT.format(module=module, adapter=adapter)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith(
        f"ImportError: {adapter} needs {module}, which is not installed:"
        f" pip install {line}"
    )
