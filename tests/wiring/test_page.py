"""The docs page on wiring says what the tests beside this file show."""

from tests.wiring.rows import PAGE, page


def test_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(), "run: .venv/bin/python -m tests.wiring"
