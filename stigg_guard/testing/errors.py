"""The error of a test whose overrides do not fit the code under test.

It is no denial and never becomes one; what is denied is told by `AccessDenied`.
"""

from __future__ import annotations


class OverrideError(AssertionError):
    """The code asked for something that the test did not override, or not like that.

    It is raised where the code asks and, should that be swallowed, once more where the
    override ends.
    """
