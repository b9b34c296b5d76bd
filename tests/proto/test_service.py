"""The generated service: its methods, and the stub used through grpc.aio as the facade uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc
import pytest

from answerd.v1 import create_response_pb2, error_pb2, event_pb2, input_pb2, responses_service_pb2
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from answerd.v1.stored_response_pb2 import GetResponseRequest

if TYPE_CHECKING:
    from answerd.v1.responses_service_pb2_grpc import ResponsesServiceAsyncStub

SERVICE = responses_service_pb2.DESCRIPTOR.services_by_name["ResponsesService"]


async def spell(
    request: create_response_pb2.CreateResponseRequest,
    _: grpc.aio.ServicerContext[create_response_pb2.CreateResponseRequest, event_pb2.ResponseEvent],
) -> AsyncIterator[event_pb2.ResponseEvent]:
    """Answers with one character of the input per event."""
    for number, delta in enumerate(request.input.text):
        text = event_pb2.OutputTextDelta(item_id="msg_1", delta=delta)
        yield event_pb2.ResponseEvent(sequence_number=number, output_text_delta=text)


@pytest.fixture
async def stub() -> AsyncIterator[ResponsesServiceAsyncStub]:
    """A stub whose server only has CreateResponse."""
    server = grpc.aio.server()
    handler = grpc.unary_stream_rpc_method_handler(
        spell,
        create_response_pb2.CreateResponseRequest.FromString,
        event_pb2.ResponseEvent.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE.full_name, {"CreateResponse": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield ResponsesServiceStub(channel)
    await server.stop(None)


async def test_a_stream_arrives_typed_and_in_order(stub: ResponsesServiceAsyncStub) -> None:
    request = create_response_pb2.CreateResponseRequest(input=input_pb2.Input(text="añ🙂"))
    events = [event async for event in stub.CreateResponse(request)]
    assert [event.sequence_number for event in events] == [0, 1, 2]
    assert [event.WhichOneof("event") for event in events] == ["output_text_delta"] * 3
    assert "".join(event.output_text_delta.delta for event in events) == "añ🙂"


async def test_a_method_that_a_server_lacks_is_unimplemented(stub: ResponsesServiceAsyncStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetResponse(GetResponseRequest(id="resp_1"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_service_has_these_methods_and_only_events_are_streamed() -> None:
    methods = {method.name: (method.output_type.name, method.server_streaming) for method in SERVICE.methods}
    assert methods == {
        "CreateResponse": ("ResponseEvent", True),
        "GetResponse": ("Response", False),
        "DeleteResponse": ("DeleteResponseResponse", False),
        "CancelResponse": ("Response", False),
        "StreamResponse": ("ResponseEvent", True),
        "ListInputItems": ("ListInputItemsResponse", False),
        "CountInputTokens": ("CountInputTokensResponse", False),
        "CompactResponse": ("CompactedResponse", False),
        "ListModels": ("ListModelsResponse", False),
        "GetModel": ("Model", False),
    }
    assert not any(method.client_streaming for method in SERVICE.methods)


def test_an_unset_setting_differs_from_zero() -> None:
    """Where zero means something, the request can tell it from nothing at all."""
    optional = {
        "model", "instructions", "previous_response_id", "store", "max_output_tokens", "temperature", "top_p",
        "parallel_tool_calls", "max_tool_calls", "safety_identifier", "prompt_cache_key", "user", "repetition_penalty",
        "dry_base", "dry_allowed_length", "seed", "n_choices", "enable_thinking", "unstored_parent_id",
    }  # fmt: skip
    fields = create_response_pb2.CreateResponseRequest.DESCRIPTOR.fields
    scalars = [field for field in fields if field.message_type is None and field.has_presence]
    assert {field.name for field in scalars} == optional


def test_every_reason_can_be_sent_as_error_info() -> None:
    """google.rpc.ErrorInfo wants upper case with underscores, at most 63 characters."""
    names = [value.name for value in error_pb2.ErrorReason.DESCRIPTOR.values]
    assert all(name.startswith("ERROR_REASON_") for name in names)
    reasons = [name.removeprefix("ERROR_REASON_") for name in names]
    assert all(reason.replace("_", "").isalpha() and reason.isupper() and len(reason) <= 63 for reason in reasons)
