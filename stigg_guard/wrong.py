"""A value of a setting that cannot be used; who says which is `setting_values`.

What values may be is said in `setting_values` and `metering_values`.
"""

from __future__ import annotations


class Wrong(ValueError):
    """A value that cannot be used; the text is the cure."""
