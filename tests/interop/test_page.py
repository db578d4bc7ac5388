"""The page about compatibility: its versions are those that tests run with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = (ROOT / "docs" / "compatibility.md").read_text()
_PACKAGES: Final = {
    "Django": "django",
    "Django REST framework": "djangorestframework",
    "redis (Python)": "redis",
}
_ROWS: Final = [
    row
    for row in re.findall(r"^\| ([^|]+) \| ([\d.]+) \| ([\d., ]+) \|$", PAGE, re.M)
    if row[0] != "Python"
]


def locked(file: str, package: str) -> list[str]:
    """The versions that a lock file names; Django has one for each Python."""
    text = (ROOT / "requirements" / file).read_text()
    return re.findall(rf"^{package}==([\d.]+)", text, re.MULTILINE)


@pytest.mark.parametrize(("name", "oldest", "newest"), _ROWS, ids=lambda word: word)
def test_page_names_the_versions_that_are_locked(
    name: str, oldest: str, newest: str
) -> None:
    package = _PACKAGES.get(name, name.lower())
    assert locked("oldest.txt", package) == [oldest]
    assert locked("dev.txt", package) == newest.split(", ")


def test_page_names_the_pythons_of_the_matrix() -> None:
    sessions = re.findall(r"python=(.+)\)$", (ROOT / "noxfile.py").read_text(), re.M)
    pythons = sorted(set(re.findall(r"3\.\d+", " ".join(sessions))))
    assert f"| Python | {pythons[0]} | {pythons[-1]} |" in PAGE


def test_page_names_the_packages_of_node_that_are_locked() -> None:
    folder = ROOT / "tests" / "interop" / "node"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for name in ("@grpc/grpc-js", "@grpc/proto-loader"):
        assert f"`{name}` {wanted[name]}" in PAGE
