"""The page on testing: all of its tests are run by pytest, as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    pytester.makepyfile("\n\n".join(blocks))
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "--strict-markers")
    result.assert_outcomes(passed=10)
