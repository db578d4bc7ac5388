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
import stigg_guard_{module}
"""


@pytest.mark.parametrize("module", ["celery", "django", "flask", "starlette"])
def test_adapter_without_its_framework_says_what_to_install(module: str) -> None:
    program = WITHOUT.format(module=module)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith(
        f"ImportError: stigg_guard_{module} needs {module}, which is not installed:"
        f" pip install 'stigg-guard[{module}]'"
    )
