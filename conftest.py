"""Runs the Python snippets of the README and the documentation as tests."""

from __future__ import annotations

from typing import Any

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser


def _as_a_script(namespace: dict[str, Any]) -> None:
    """Let snippets find `__name__`, as a file that a reader pastes them into has."""
    namespace["__name__"] = "__main__"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
    setup=_as_a_script,
).pytest()
