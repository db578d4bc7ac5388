"""Runs the snippets of the README and the documentation as tests; settles hypothesis.

Fixtures live beside the tests that use them.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

# A busy machine is no failure, and a change meets the same examples as the one before;
# with EXPLORE set there are others, and more.
settings.register_profile(
    "repository",
    deadline=None,
    derandomize="EXPLORE" not in os.environ,
    max_examples=1000 if "EXPLORE" in os.environ else 50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repository")


def _as_a_script(namespace: dict[str, Any]) -> None:
    """Let snippets find `__name__`, as a file that a reader pastes them into has."""
    namespace["__name__"] = "__main__"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
    setup=_as_a_script,
).pytest()
