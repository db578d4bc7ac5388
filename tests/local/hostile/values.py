"""Values of JSON that nobody writes in good faith.

Where they are put is decided where they are used.
"""

from __future__ import annotations

from hypothesis import strategies as st

_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, -(2**31), 2**63, 10**400, 1e308, 5e-324, -0.0]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "x" * 10_000, "\x00", "\ud800", "9" * 5000, "a/b", "2024-02-30"]
    ),
)
values = st.recursive(
    _odd,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
    ),
    max_leaves=8,
)
"""Any value of JSON, and of JSON as Python understands it: NaN, halves of pairs."""
