"""What holds for the project as a whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [
    ROOT / "stigg_guard",
    ROOT / "sidecar_client",
    *sorted((ROOT / "integrations").glob("stigg_guard_*")),
]
MODULES = [
    module
    for package in PACKAGES
    for module in sorted(package.rglob("*.py"))
    if module.parent.name != "protocol" and module.name != "__init__.py"
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_package_is_marked_as_typed(package: Path) -> None:
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize(
    "module", MODULES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_module_says_what_lives_in_it(module: Path) -> None:
    said = ast.get_docstring(ast.parse(module.read_text()))
    assert said, f"{module} says nothing"
    assert len(said.splitlines()) >= 2


def test_locked_versions_are_not_below_the_floors() -> None:
    floors = dict(
        re.findall(r'"([a-z-]+)>=([\d.]+)', (ROOT / "pyproject.toml").read_text())
    )
    oldest = dict(
        re.findall(
            r"^([a-z-]+)==([\d.]+)",
            (ROOT / "requirements/oldest.txt").read_text(),
            re.M,
        )
    )
    for name in ("grpcio", "protobuf", "asgiref", "django", "flask", "starlette"):
        assert _numbers(oldest[name]) == _numbers(floors[name]), name


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
