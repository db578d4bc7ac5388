"""Writes the docs page on wiring from the rows of the tests."""

from tests.wiring.rows import PAGE, page

PAGE.write_text(page())
print(f"wrote {PAGE}")
