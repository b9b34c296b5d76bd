"""The service as gRPC clients find it: health, reflection, and the methods through generated stubs."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from answerd.v1 import create_response_pb2, input_pb2, model_pb2, responses_service_pb2
from answerd.v1.response_pb2 import ResponseStatus
from answerd.v1.stored_response_pb2 import DeleteResponseRequest
from tests.e2e.api import Api
from tests.e2e.rpc import SECONDS, Rpc

SERVICE = responses_service_pb2.DESCRIPTOR.services_by_name["ResponsesService"].full_name
MODEL = "SmolLM2-135M-Instruct"


def short(store: bool = True) -> create_response_pb2.CreateResponseRequest:
    hello = input_pb2.Input(text="Hello!")
    return create_response_pb2.CreateResponseRequest(
        input=hello, instructions="Be brief.", temperature=0, max_output_tokens=16, store=store
    )


@pytest.mark.parametrize("service", ["", SERVICE])
def test_a_ready_server_reports_itself_as_serving(rpc: Rpc, service: str) -> None:
    health = health_pb2_grpc.HealthStub(rpc.channel)
    reply = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_service_and_gives_its_contract(rpc: Rpc) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(rpc.channel)
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    listed, described = reflection.ServerReflectionInfo(iter(questions), timeout=SECONDS)
    assert SERVICE in [service.name for service in listed.list_services_response.service]
    assert described.file_descriptor_response.file_descriptor_proto


def test_a_response_is_streamed_got_continued_over_http_and_deleted(rpc: Rpc, api: Api) -> None:
    with rpc.stream(short()) as stream:
        stream.read_to_end()
    assert stream.end.output[0].message.content[0].output_text.text == stream.text
    assert rpc.get(stream.id) == stream.end
    assert api.get(stream.id)["output_text"] == stream.text
    assert api.create(previous_response_id=stream.id)["usage"]["input_tokens"] > stream.end.usage.input_tokens
    deleted = rpc.stub.DeleteResponse(DeleteResponseRequest(id=stream.id), timeout=SECONDS)
    assert (deleted.id, deleted.deleted) == (stream.id, True)
    gone = rpc.refused("DeleteResponse", DeleteResponseRequest(id=stream.id))
    assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND")


def test_what_is_not_to_be_stored_cannot_be_got(rpc: Rpc) -> None:
    made = rpc.create(short(store=False))
    assert made.status in (ResponseStatus.RESPONSE_STATUS_COMPLETED, ResponseStatus.RESPONSE_STATUS_INCOMPLETE)
    gone = rpc.refused("DeleteResponse", DeleteResponseRequest(id=made.id))
    assert gone.reason == "RESPONSE_NOT_FOUND"


def test_the_models_are_listed_with_their_context(rpc: Rpc) -> None:
    (listed,) = rpc.stub.ListModels(model_pb2.ListModelsRequest(), timeout=SECONDS).data
    assert (listed.id, listed.context_length) == (MODEL, 4096)
    assert rpc.stub.GetModel(model_pb2.GetModelRequest(id="default"), timeout=SECONDS) == listed


def test_every_call_is_answered_with_the_request_id_it_came_with(rpc: Rpc) -> None:
    _, call = rpc.stub.ListModels.with_call(
        model_pb2.ListModelsRequest(), timeout=SECONDS, metadata=(("x-request-id", "my-own-id"),)
    )
    assert ("x-request-id", "my-own-id") in [tuple(pair) for pair in call.initial_metadata()]
