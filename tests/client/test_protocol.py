"""The compiled protocol, compared with the table field by field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from sidecar_client.methods import METHODS, SERVICE
from sidecar_client.protocol import sidecar_pb2 as pb

TABLE: Final = Path(__file__).with_name("protocol_table.md").read_text()
PACKAGE: Final = "stigg.sidecar.v1"
Row = tuple[str, ...]
SCALARS: Final = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
}


def sections(chapter: str) -> dict[str, list[Row]]:
    """Return the rows under each heading of a chapter, cells without backticks."""
    body = re.split(r"^## ", TABLE, flags=re.MULTILINE)
    text = next(part for part in body if part.startswith(chapter))
    parts = re.split(r"^### `(\w+)`$", text, flags=re.MULTILINE)
    return {
        name: rows(part) for name, part in zip(parts[1::2], parts[2::2], strict=True)
    }


def rows(text: str) -> list[Row]:
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [
        tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        for line in lines
    ]


ENUMS: Final = sections("Enums")
MESSAGES: Final = sections("Messages")


def facts_of(descriptor: Descriptor) -> list[Row]:
    """Return number, name, type and label of each field, as the table writes them."""
    proto = DescriptorProto()
    descriptor.CopyToProto(proto)
    return [
        (str(field.number), field.name, type_of(field), label_of(field, plain))
        for field, plain in zip(descriptor.fields, proto.field, strict=True)
    ]


def type_of(field: FieldDescriptor) -> str:
    if is_map(field):
        assert field.message_type is not None
        key, value = field.message_type.fields
        return f"map<{type_of(key)}, {type_of(value)}>"
    kind = field.message_type or field.enum_type
    if kind is None:
        return SCALARS[field.type]
    return kind.full_name.removeprefix(f"{PACKAGE}.")


def label_of(field: FieldDescriptor, plain: FieldDescriptorProto) -> str:
    if plain.proto3_optional:
        return "optional" + " (deprecated)" * plain.options.deprecated
    if field.containing_oneof is not None:
        return f"oneof {field.containing_oneof.name}"
    if plain.label == FieldDescriptorProto.LABEL_REPEATED and not is_map(field):
        return "repeated"
    return ""


def is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def test_the_file_has_its_name_package_and_syntax() -> None:
    proto = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(proto)
    assert (proto.name, proto.package, proto.syntax) == (
        "stigg/sidecar/v1/sidecar.proto",
        PACKAGE,
        "proto3",
    )
    assert set(proto.dependency) == {
        f"google/protobuf/{name}.proto" for name in ("empty", "struct", "timestamp")
    }


def test_the_table_was_read_whole() -> None:
    rows_of_fields = re.findall(r"^\| \d+ \|", TABLE, flags=re.MULTILINE)
    known = [*ENUMS.values(), *MESSAGES.values()]
    assert (len(ENUMS), len(MESSAGES)) == (5, 48)
    assert sum(map(len, known)) == len(rows_of_fields)


def test_there_are_no_messages_and_enums_but_those_of_the_table() -> None:
    assert set(pb.DESCRIPTOR.message_types_by_name) == set(MESSAGES)
    assert set(pb.DESCRIPTOR.enum_types_by_name) == set(ENUMS)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_message_has_the_fields_of_the_table(name: str) -> None:
    assert facts_of(pb.DESCRIPTOR.message_types_by_name[name]) == MESSAGES[name]


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_enum_has_the_numbers_of_the_table(name: str) -> None:
    values = pb.DESCRIPTOR.enum_types_by_name[name].values
    assert [(str(value.number), value.name) for value in values] == ENUMS[name]


def test_service_has_the_methods_of_the_table() -> None:
    service = pb.DESCRIPTOR.services_by_name["SidecarService"]
    table = rows(re.split(r"^## ", TABLE, flags=re.MULTILINE)[1])
    assert service.full_name == SERVICE
    assert [
        (
            method.name,
            method.input_type.full_name.removeprefix(f"{PACKAGE}."),
            method.output_type.full_name.removeprefix(f"{PACKAGE}."),
        )
        for method in service.methods
    ] == table


def test_the_clients_methods_are_those_of_the_service() -> None:
    service = pb.DESCRIPTOR.services_by_name["SidecarService"]
    assert [(m.name, m.request.DESCRIPTOR, m.response.DESCRIPTOR) for m in METHODS] == [
        (m.name, m.input_type, m.output_type) for m in service.methods
    ]
    assert {m.name for m in METHODS if m.is_read} == {
        m.name for m in METHODS if m.name.startswith("Get")
    }
