"""A measurement's line of text is JSON, and reads back as what it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.record_text import as_text, from_text
from stigg_guard.subject import Subject

words = st.text(min_size=1, max_size=20)
moments = st.datetimes(
    datetime(1971, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]),
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
measurements = st.builds(
    Measurement,
    subject=st.builds(Subject, words, st.none() | words),
    feature_id=st.none() | words,
    value=numbers,
    update=st.sampled_from(["delta", "set"]),
    event=st.none() | words,
    dimensions=st.dictionaries(words, words | numbers | st.booleans(), max_size=3).map(
        lambda found: tuple(found.items())
    ),
    timestamp=moments,
    key=st.just("key"),
)


@given(measurement=measurements)
def test_it_reads_back_as_what_it_was(measurement: Measurement) -> None:
    assert from_text(as_text(measurement), "key") == measurement


@given(measurement=measurements)
def test_it_is_what_json_writes_of_the_same_values(measurement: Measurement) -> None:
    text = as_text(measurement)

    assert json.dumps(json.loads(text), separators=(",", ":")) == text
    assert text.isascii()


def test_numbers_of_other_kinds_are_written_as_numbers() -> None:
    class Amount(float):
        def __repr__(self) -> str:
            return f"Amount({float(self)})"

    measurement = Measurement(subject=Subject("customer"), value=Amount(1.5))

    assert from_text(as_text(measurement), measurement.key).value == 1.5
