"""A measurement as one short line of text, quickly made: its values without names.

The key is a column of its own. What a record means is said by `Measurement`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from stigg_guard.metering.measurement import RECORD_VERSION, Measurement
from stigg_guard.requirement import Dimension

NAMES: Final = (
    *("v", "customer", "resource", "feature", "value", "update", "event"),
    *("dimensions", "timestamp"),
)
"""Of `Measurement.as_record`, without the key; a newer form adds names at the end."""


def as_text(measurement: Measurement) -> str:
    """All but its key, as JSON; `from_text` reads it."""
    subject, at = measurement.subject, measurement.timestamp
    dimensions = measurement.dimensions
    # Put together by hand, which takes half as long as to encode the whole.
    return (
        f"[{RECORD_VERSION},{_quoted(subject.customer_id)},"
        f"{_or_null(subject.resource_id)},{_or_null(measurement.feature_id)},"
        f"{_number(measurement.value)},{_quoted(measurement.update)},"
        f"{_or_null(measurement.event)},"
        f"{{{','.join([_pair(*pair) for pair in dimensions])}}},"
        f"{_number(at.timestamp()) if at.tzinfo is UTC else _quoted(at.isoformat())}]"
    )


def _pair(name: str, value: Dimension) -> str:
    said = _quoted(value) if type(value) is str else _dumps(value)
    return f"{_quoted(name)}:{said}"


def _or_null(text: str | None) -> str:
    return "null" if text is None else _quoted(text)


def _number(number: float) -> str:
    # Those of other kinds, such as numpy's, have a `repr` of their own.
    return repr(number) if type(number) in _NUMBERS else _dumps(number)


def from_text(text: str, key: str) -> Measurement:
    """The measurement; raises `ValueError` for what is none, or of a newer form."""
    values: list[Any] = json.loads(text)
    try:
        record = dict(zip(NAMES, values, strict=False), key=key)
        if isinstance(at := record.get("timestamp"), int | float):
            record["timestamp"] = datetime.fromtimestamp(at, UTC).isoformat()
    except (TypeError, OverflowError, OSError) as error:
        raise ValueError(f"this is no stored measurement: {text!r}") from error
    return Measurement.from_record(record)


def _encoder() -> Callable[[Any], str]:
    # `JSONEncoder.encode` builds its encoder anew for every value, which takes longer
    # than to encode one of these.
    encoder = json.JSONEncoder(separators=(",", ":"))
    make: Callable[..., Any] | None = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # another Python than CPython
        return encoder.encode
    quoted = json.encoder.encode_basestring_ascii
    encode = make(None, encoder.default, quoted, None, ":", ",", False, False, True)
    return lambda value: "".join(encode(value, 0))


_NUMBERS: Final = (int, float)
_quoted: Final = json.encoder.encode_basestring_ascii
_dumps: Final = _encoder()
