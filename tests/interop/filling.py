"""Messages with every field set that can be set, made from the protocol itself.

A field that is added to the .proto is filled as well; what a value means is not known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

Filled = TypeVar("Filled", bound=Message)

_TIMES = (
    "0001-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999999999Z",
    "2024-02-29T12:34:56.789Z",
    "9999-12-31T23:59:59.999999999Z",
)
_DOUBLES = (
    0.1,
    -0.5,
    1e308,
    5e-324,
    2.0**53,
    float("inf"),
    float("-inf"),
    float("nan"),
)
_INTEGERS = (2**31 - 1, -(2**31), -1, 7)
_TEXTS = ("grün", "☕ Kaffee", "𝄞 naïve", "日本語", 'a\n\t"b"\\ 100%', "x" * 300)
_UNKNOWN = 99
# The descriptors of protobuf's C library are typed as those of Python by halves.
_Descriptor = Any


def variants(kind: type[Filled]) -> list[Filled]:
    """One that is empty, one with each field set to its default, and full ones.

    There are as many full ones as the largest oneof has members, so that each is set.
    """
    zeros = kind()
    _set_zeros(zeros)
    full: list[Filled] = []
    for number in range(_most_members(kind.DESCRIPTOR)):
        filled = kind()
        _Filler(number).fill(filled)
        full.append(filled)
    return [kind(), zeros, *full]


class _Filler:
    """Fills one message; `number` says which member of a oneof is set."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._turn = itertools.count(number)

    def fill(self, message: Message) -> None:
        for field in _fields(message.DESCRIPTOR, self._number):
            if _is_map(field):
                self._fill_map(message, field)
            elif _is_list(message, field):
                self._fill_list(message, field)
            elif field.message_type is not None:
                self._fill_part(getattr(message, field.name))
            else:
                setattr(message, field.name, self._value(field))

    def _fill_map(self, message: Message, field: _Descriptor) -> None:
        value = field.message_type.fields_by_name["value"]
        entries: Any = getattr(message, field.name)
        for number in range(_most_members(value.message_type)):
            _Filler(number).fill(entries[f"{_TEXTS[number]}-{number}"])

    def _fill_list(self, message: Message, field: _Descriptor) -> None:
        items: Any = getattr(message, field.name)
        if field.message_type is None:
            items.extend([self._value(field) for _ in range(3)])
            return
        for number in range(_most_members(field.message_type)):
            _Filler(number).fill(items.add())
        items.add()

    def _fill_part(self, part: Message) -> None:
        if isinstance(part, Timestamp):
            part.FromJsonString(self._one_of(_TIMES))
        elif isinstance(part, Struct):
            part.update(_STRUCT)
        else:
            part.SetInParent()
            self.fill(part)

    def _value(self, field: _Descriptor) -> object:
        if field.enum_type is not None:
            return self._one_of((*field.enum_type.values_by_number, _UNKNOWN))
        values: dict[int, Callable[[], object]] = {
            FieldDescriptor.CPPTYPE_STRING: lambda: self._one_of(_TEXTS),
            FieldDescriptor.CPPTYPE_DOUBLE: lambda: self._one_of(_DOUBLES),
            FieldDescriptor.CPPTYPE_INT32: lambda: self._one_of(_INTEGERS),
            FieldDescriptor.CPPTYPE_BOOL: lambda: True,
        }
        return values[field.cpp_type]()

    def _one_of(self, values: tuple[Any, ...]) -> Any:
        return values[next(self._turn) % len(values)]


_STRUCT: dict[str, Any] = {
    "text": "grün ☕",
    "number": -1.5,
    "whole": 12,
    "yes": True,
    "no": False,
    "nothing": None,
    "list": [1, "two", None, {"three": [3]}],
    "nested": {"empty": {}, "none": []},
}


def _set_zeros(message: Message) -> None:
    """Set each field that can tell "set" from "not set", to what it has anyway."""
    for field in _fields(message.DESCRIPTOR, 0):
        if not field.has_presence:
            continue
        if field.message_type is None:
            setattr(message, field.name, field.default_value)
        else:
            part = getattr(message, field.name)
            part.SetInParent()
            if not isinstance(part, (Timestamp, Struct)):
                _set_zeros(part)


def _fields(kind: _Descriptor, number: int) -> Iterator[_Descriptor]:
    """The fields of a message, with one member of each real oneof."""
    for field in kind.fields:
        members = _members(field.containing_oneof)
        if not members or members[number % len(members)] is field:
            yield field


def _members(oneof: _Descriptor) -> list[_Descriptor]:
    """The members of a oneof; none for what `optional` makes."""
    fields = list(oneof.fields) if oneof is not None else []
    return fields if len(fields) > 1 else []


def _most_members(kind: _Descriptor) -> int:
    """How many members the largest oneof has, in a message and in its parts."""
    if kind.full_name.startswith("google.protobuf."):
        return 1
    own = [len(oneof.fields) for oneof in kind.oneofs]
    parts = [
        _most_members(field.message_type)
        for field in kind.fields
        if field.message_type is not None
    ]
    return max([1, *own, *parts])


def _is_list(message: Message, field: _Descriptor) -> bool:
    # Descriptors of older and newer protobufs say it in different words.
    return hasattr(getattr(message, field.name), "extend")


def _is_map(field: _Descriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry
