"""Strategies for requests that nobody sends in good faith, made from the protocol.

Some are well-formed with values at every edge, some are those with bytes changed, some
are just bytes.
"""

from __future__ import annotations

import math
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

_Strategy = st.SearchStrategy
_IDS: Final = (
    *(f"customer-demo-0{number}" for number in range(1, 6)),
    *("feature-01-templates", "feature-02-campaigns", "feature-03-custom-domain"),
    *("feature-05-export-formats", "feature-06-max-file-size", "site-01", "site-04"),
    *("", " ", "..", "/", "\x00", "a/b", "-", "x" * 255, "x" * 256, "x" * 100_000),
    *("customer/x", "*", "%s{}", "'; --", "\u202e\ufeff", "\U0001f600" * 255),
)
_SECONDS: Final = (-(2**63), -62135596801, -62135596800, -1, 0, 253402300799, 2**63 - 1)
_NANOS: Final = (-(2**31), -1, 0, 999_999_999, 10**9, 2**31 - 1)
_NUMBERS: Final = (-0.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf, 2.0**63)

_texts = st.sampled_from(_IDS) | st.text(max_size=20)
_numbers = st.sampled_from(_NUMBERS) | st.floats() | st.integers(-5, 5).map(float)
_int32 = st.sampled_from((-(2**31), 2**31 - 1)) | st.integers(-5, 100)
_times = st.builds(
    Timestamp,
    seconds=st.sampled_from(_SECONDS) | st.integers(1_500_000_000, 2_500_000_000),
    nanos=st.sampled_from(_NANOS),
)


@st.composite
def messages(draw: st.DrawFn, kind: type[Message]) -> Message:
    """A message of the kind: any fields, any values that the wire can carry."""
    message = kind()
    _fill(draw, message)
    return message


def requests(kind: type[Message]) -> _Strategy[bytes]:
    """The bytes of a request: good ones, changed ones, and ones that are none."""
    good = messages(kind).map(lambda message: message.SerializeToString())
    return good | _changed(good) | st.binary(max_size=200) | _nested()


def _fill(draw: st.DrawFn, message: Message) -> None:
    for field in message.DESCRIPTOR.fields:
        if not draw(st.integers(0, 4)):
            continue
        part: Any = getattr(message, field.name)
        if field.message_type is None:
            _set(draw, message, field, part)
        elif field.message_type.GetOptions().map_entry:
            for name in draw(st.lists(_texts, max_size=2)):
                _fill(draw, part[name])
        elif hasattr(part, "add"):
            for _ in range(draw(st.integers(0, 2))):
                _fill(draw, part.add())
        elif isinstance(part, Timestamp):
            part.CopyFrom(draw(_times))
        else:
            part.SetInParent()
            _fill(draw, part)


def _set(draw: st.DrawFn, message: Message, field: Any, part: Any) -> None:
    strategy = _values(field)
    if hasattr(part, "extend"):
        part.extend(draw(st.lists(strategy, max_size=3)))
    else:
        setattr(message, field.name, draw(strategy))


def _values(field: Any) -> _Strategy[Any]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _texts
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return _numbers
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    return _int32


@st.composite
def _changed(draw: st.DrawFn, good: _Strategy[bytes]) -> bytes:
    """A good request of which some bytes are cut, repeated or others."""
    data = draw(good)
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 8)))
        inner = draw(st.binary(max_size=4)) or data[begin:end] * 2
        data = data[:begin] + inner + data[end:]
    return data


def _nested() -> _Strategy[bytes]:
    """Groups or messages in one another, deeper than anybody can follow."""
    groups = [opening * 10_000 for opening in (b"\x0b", b"\x2b", b"\xf3\x3f")]
    return st.sampled_from([*groups, *map(_inside, (5, 120, 1000))])


def _inside(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        size, length = len(data), b""
        while size > 127:
            length += bytes([size & 127 | 128])
            size >>= 7
        data = b"\x2a" + length + bytes([size]) + data
    return data
