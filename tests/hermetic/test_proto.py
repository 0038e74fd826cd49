"""The trimmed protocol: the same on the wire as Envoy's full messages, and its stubs are what proto/ says."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import envoy_data_plane.envoy.config.core.v3 as core
import envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 as filters
import envoy_data_plane.envoy.service.ext_proc.v3 as full
import envoy_data_plane.envoy.type.v3 as types
import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from grpc_health.v1 import health_pb2 as full_health

from routegen_router._pb import extproc_pb2, health_pb2

REPOSITORY = Path(__file__).parents[2]

FULL: dict[str, Any] = {
    "CommonResponse.ResponseStatus": full.CommonResponseResponseStatus,
    "HeaderMap": core.HeaderMap,
    "HeaderValue": core.HeaderValue,
    "HeaderValueOption": core.HeaderValueOption,
    "HeaderValueOption.HeaderAppendAction": core.HeaderValueOptionHeaderAppendAction,
    "HttpStatus": types.HttpStatus,
    "ProcessingMode": filters.ProcessingMode,
    "ProcessingMode.BodySendMode": filters.ProcessingModeBodySendMode,
}
"""Where Envoy keeps what is not in its external processing package itself."""

MESSAGES: list[Descriptor] = list(extproc_pb2.DESCRIPTOR.message_types_by_name.values())
FIELDS: list[FieldDescriptor] = [field for message in MESSAGES for field in message.fields]
ENUMS: list[EnumDescriptor] = [enum for message in MESSAGES for enum in message.enum_types]

KINDS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_INT32: "enum",  # HttpStatus.code: an enum travels as an int32
    FieldDescriptor.TYPE_MESSAGE: "message",
    FieldDescriptor.TYPE_STRING: "string",
}


def short(descriptor: Descriptor | EnumDescriptor) -> str:
    return descriptor.full_name.removeprefix("routegen.extproc.v1.")


def counterpart(descriptor: Descriptor | EnumDescriptor | None) -> Any:
    assert descriptor is not None
    name = short(descriptor)
    return FULL.get(name) or getattr(full, name)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: str(field.full_name).removeprefix("routegen.extproc.v1."))
def test_each_field_is_the_full_messages_own(field: FieldDescriptor) -> None:
    theirs = {entry.name: entry for entry in dataclasses.fields(counterpart(field.containing_type))}[field.name]
    meta = theirs.metadata["betterproto"]
    assert meta.number == field.number
    assert meta.proto_type == KINDS[field.type]
    assert meta.repeated == field.is_repeated
    assert meta.group == (field.containing_oneof.name if field.containing_oneof else None)
    if field.message_type is not None:
        inner = field.message_type
        name = "Struct" if inner.full_name == "google.protobuf.Struct" else counterpart(inner).__name__
        assert name in str(theirs.type)


@pytest.mark.parametrize("enum", ENUMS, ids=short)
def test_each_enum_is_the_full_one(enum: EnumDescriptor) -> None:
    assert {value.name: value.number for value in enum.values} == {
        member.name: member.value for member in counterpart(enum)
    }


def samples() -> Iterator[tuple[type[Any], Any]]:
    """(the full class, a trimmed message that has every field set)."""
    header = extproc_pb2.HeaderValueOption(
        header=extproc_pb2.HeaderValue(key="k", value="v", raw_value=b"r"),
        append_action=extproc_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    mutation = extproc_pb2.HeaderMutation(set_headers=[header], remove_headers=["gone"])
    common = extproc_pb2.CommonResponse(
        status=extproc_pb2.CommonResponse.CONTINUE_AND_REPLACE, header_mutation=mutation, clear_route_cache=True
    )
    response = extproc_pb2.ProcessingResponse(request_body=extproc_pb2.BodyResponse(response=common))
    response.dynamic_metadata.update({"routegen": {"backend": "b", "rule": "r"}})
    yield full.ProcessingResponse, response
    yield (
        full.ProcessingResponse,
        extproc_pb2.ProcessingResponse(
            immediate_response=extproc_pb2.ImmediateResponse(
                status=extproc_pb2.HttpStatus(code=413), headers=mutation, body=b"{}", details="d"
            )
        ),
    )
    yield (
        full.ProcessingRequest,
        extproc_pb2.ProcessingRequest(
            request_headers=extproc_pb2.HttpHeaders(
                headers=extproc_pb2.HeaderMap(headers=[extproc_pb2.HeaderValue(key=":path", raw_value=b"/\xff")]),
                end_of_stream=True,
            ),
            observability_mode=True,
            protocol_config=extproc_pb2.ProtocolConfiguration(
                request_body_mode=extproc_pb2.ProcessingMode.BUFFERED,
                response_body_mode=extproc_pb2.ProcessingMode.STREAMED,
                send_body_without_waiting_for_header_response=True,
            ),
        ),
    )
    yield (
        full.ProcessingRequest,
        extproc_pb2.ProcessingRequest(request_body=extproc_pb2.HttpBody(body=b"\0\xff" * 100, end_of_stream=True)),
    )


@pytest.mark.parametrize(("theirs", "ours"), list(samples()))
def test_bytes_survive_the_way_through_the_full_messages(theirs: type[Any], ours: Any) -> None:
    there = bytes(theirs.parse(ours.SerializeToString()))
    assert type(ours).FromString(there) == ours


def test_fields_that_were_left_out_are_skipped() -> None:
    request = full.ProcessingRequest(
        request_body=full.HttpBody(body=b"{}", end_of_stream=True, grpc_message_compressed=True),
        metadata_context=core.Metadata(),
    )
    ours = extproc_pb2.ProcessingRequest.FromString(bytes(request))
    assert ours.request_body.body == b"{}"


def test_health_messages_are_those_of_the_standard() -> None:
    for message in health_pb2.DESCRIPTOR.message_types_by_name.values():
        theirs = full_health.DESCRIPTOR.message_types_by_name[message.name]
        shape = [(field.name, field.number, field.type) for field in message.fields]
        assert shape == [(field.name, field.number, field.type) for field in theirs.fields]
        for enum in message.enum_types:
            values = theirs.enum_types_by_name[enum.name].values
            assert [(v.name, v.number) for v in enum.values] == [(v.name, v.number) for v in values]


def test_the_stubs_are_what_make_proto_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, REPOSITORY / "proto" / "generate.py", "--output", tmp_path], check=True)
    stubs = REPOSITORY / "router" / "routegen_router" / "_pb"
    written = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert written == {file.name: file.read_text() for file in stubs.iterdir() if file.is_file()}
