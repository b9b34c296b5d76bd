"""The same requests over gRPC: code, reason and field say what HTTP says with status, code and param."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.model_pb2 import GetModelRequest
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest
from tests.e2e.conftest import BODY_LIMIT
from tests.e2e.rpc import Rpc, refusal_of

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
CREATE = "/answerd.v1.ResponsesService/CreateResponse"
UNKNOWN = "resp_00000000000000000000000000000000"


def items(*content: dict[str, Any]) -> dict[str, Any]:
    return {"items": {"items": [{"message": {"role": "ROLE_USER", "content": list(content)}}]}}


CASES: list[tuple[dict[str, Any], grpc.StatusCode, str, str]] = [
    ({"input": {}}, INVALID, "MISSING_REQUIRED_PARAMETER", "input"),
    ({"input": {"items": {}}}, INVALID, "INVALID_VALUE", "input"),
    ({"input": items({})}, INVALID, "MISSING_REQUIRED_PARAMETER", "input[0].content[0].type"),
    ({"input": items({"inputImage": {"imageUrl": "x:"}})}, INVALID, "UNSUPPORTED_CONTENT", "input[0].content[0]"),
    ({"input": {"text": "word " * 5000}}, INVALID, "CONTEXT_LENGTH_EXCEEDED", "input"),
    ({"temperature": 2.5}, INVALID, "INVALID_VALUE", "temperature"),
    ({"temperature": "NaN"}, INVALID, "INVALID_VALUE", "temperature"),
    ({"topP": -0.1}, INVALID, "INVALID_VALUE", "top_p"),
    ({"maxOutputTokens": 0}, INVALID, "INVALID_VALUE", "max_output_tokens"),
    ({"stop": [""]}, INVALID, "INVALID_VALUE", "stop[0]"),
    ({"truncation": 99}, INVALID, "INVALID_VALUE", "truncation"),
    ({"background": True, "store": False}, INVALID, "INVALID_VALUE", "background"),
    ({"model": "gpt-4o"}, NOT_FOUND, "MODEL_NOT_FOUND", "model"),
    ({"previousResponseId": UNKNOWN}, NOT_FOUND, "PREVIOUS_RESPONSE_NOT_FOUND", "previous_response_id"),
]


@pytest.mark.parametrize(("fields", "code", "reason", "path"), CASES, ids=lambda value: str(value)[:40])
def test_a_wrong_request_is_refused_with_its_reason_and_field(
    rpc: Rpc, fields: dict[str, Any], code: grpc.StatusCode, reason: str, path: str
) -> None:
    request = ParseDict({"input": {"text": "Hello!"}, **fields}, CreateResponseRequest())
    refused = rpc.refused("CreateResponse", request)
    assert (refused.code, refused.reason, refused.fields) == (code, reason, (path,))
    assert refused.message


def test_all_faults_of_a_request_are_told_in_document_order(rpc: Rpc) -> None:
    request = CreateResponseRequest(temperature=9, top_p=9, stop=[""])
    refused = rpc.refused("CreateResponse", request)
    assert refused.fields == ("input", "temperature", "top_p", "stop[0]")


@pytest.mark.parametrize(
    ("method", "message", "reason"),
    [
        ("GetResponse", GetResponseRequest(id=UNKNOWN), "RESPONSE_NOT_FOUND"),
        ("DeleteResponse", DeleteResponseRequest(id=UNKNOWN), "RESPONSE_NOT_FOUND"),
        ("GetModel", GetModelRequest(id="gpt-4o"), "MODEL_NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_not_found(rpc: Rpc, method: str, message: Any, reason: str) -> None:
    refused = rpc.refused(method, message)
    assert (refused.code, refused.reason) == (NOT_FOUND, reason)


@pytest.mark.parametrize("request_bytes", [b"\xff\xff\xff", b"\x12\x03\x0a\x01\xff"], ids=["no message", "no UTF-8"])
def test_bytes_that_cannot_be_read_are_refused_without_the_words_of_a_library(rpc: Rpc, request_bytes: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(rpc.raw_stream(CREATE, request_bytes))
    refused = refusal_of(caught.value)
    assert (refused.code, refused.reason) == (INVALID, "INVALID_VALUE")
    assert refused.message.startswith("The request cannot be read")


def test_a_message_over_the_limit_is_refused(rpc: Rpc) -> None:
    request = CreateResponseRequest(instructions="x" * BODY_LIMIT)
    assert rpc.refused("CreateResponse", request).code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_method_that_nobody_knows_is_unimplemented(rpc: Rpc) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(rpc.raw_stream("/answerd.v1.ResponsesService/Sing", b""))
    assert refusal_of(caught.value).code == grpc.StatusCode.UNIMPLEMENTED
