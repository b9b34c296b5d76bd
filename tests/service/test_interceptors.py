"""What every call has in common: parsing, request id, status and log line, shown with a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from answerd.v1 import create_response_pb2, model_pb2
from answerd.v1.input_pb2 import Input
from inference.types import QueueFull
from service.errors import InvalidRequest, Reason, Violation, response_not_found
from service.interceptors import current_call
from tests.service.raw_calls import NO_METADATA, SERVICE, failure_of, raising, request_id_of, rich, serving

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_requests_arrive_parsed_and_answers_come_back() -> None:
    async with serving() as served:
        model = model_pb2.Model.FromString(await served.get(model_pb2.GetModelRequest(id="m").SerializeToString()))
        assert (model.id, model.owned_by) == ("m", "local")
        request = create_response_pb2.CreateResponseRequest(input=Input(text="añ🙂"))
        stream = served.create(request.SerializeToString())
        assert [model_pb2.Model.FromString(data).id async for data in stream] == ["a", "ñ", "🙂"]


@pytest.mark.parametrize("given", ["abc-DEF_1.2", "trace:a/b+c=", "x" * 128])
async def test_a_sane_request_id_comes_back(given: str) -> None:
    async with serving() as served:
        metadata = (("x-request-id", given),)
        assert await request_id_of(served.get(metadata=metadata)) == given
        assert await request_id_of(served.create(metadata=metadata)) == given
        assert (await served.lines.call())["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "a,b", 'quote"', "{}"])
async def test_any_other_request_id_is_replaced(given: str | None) -> None:
    async with serving() as served:
        metadata = NO_METADATA if given is None else (("x-request-id", given),)
        made = await request_id_of(served.get(metadata=metadata))
        assert made.startswith("req_")
        assert made != await request_id_of(served.get(metadata=metadata))


async def test_a_failed_call_carries_its_request_id_too() -> None:
    get, create = raising(response_not_found("resp_1"))
    async with serving(get, create) as served:
        for call in (
            served.get(metadata=(("x-request-id", "mine"),)),
            served.create(metadata=(("x-request-id", "mine"),)),
        ):
            await failure_of(call)
            assert await request_id_of(call) == "mine"


@pytest.mark.parametrize(("given", "bound"), [(TRACE, TRACE), ("00-zz", None), (None, None)])
async def test_a_valid_traceparent_is_on_every_line_of_the_call(given: str | None, bound: str | None) -> None:
    async with serving() as served:
        await served.get(metadata=(("traceparent", given),) if given else NO_METADATA)
        line = await served.lines.call()
        assert line["bound"].get("traceparent") == bound
        assert line["bound"]["request_id"] == line["request_id"]


async def test_an_error_of_the_service_becomes_its_status() -> None:
    get, create = raising(response_not_found("resp_1"))
    async with serving(get, create) as served:
        for number, call in enumerate((served.get(), served.create())):
            error = await failure_of(call)
            assert (error.code(), error.details()) == (
                grpc.StatusCode.NOT_FOUND,
                "Response with ID 'resp_1' not found.",
            )
            assert rich(error) == ("RESPONSE_NOT_FOUND", [])
            line = await served.lines.call(number)
            assert (line["code"], line["reason"]) == ("NOT_FOUND", "RESPONSE_NOT_FOUND")


async def test_an_error_of_the_engine_is_translated() -> None:
    get, create = raising(QueueFull("the queue holds 128"))
    async with serving(get, create) as served:
        for number, call in enumerate((served.get(), served.create())):
            error = await failure_of(call)
            assert (error.code(), rich(error)[0]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED")
            assert (await served.lines.call(number))["cause"] == "QueueFull: the queue holds 128"


async def test_thousands_of_faults_still_reach_the_client() -> None:
    faults = [Violation(f"input[{n}].role", Reason.INVALID_VALUE, f"'input[{n}].role' is wrong.") for n in range(5000)]
    get, create = raising(InvalidRequest(faults))
    async with serving(get, create) as served:
        error = await failure_of(served.create())
        reason, fields = rich(error)
        assert (error.code(), reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
        assert fields == [fault.path for fault in faults[: len(fields)]]
        assert len(fields) > 10


async def test_an_unknown_exception_is_told_by_its_request_id_and_logged_whole() -> None:
    secret = ValueError("the secret")
    get, create = raising(secret)
    async with serving(get, create) as served:
        for call in (
            served.get(metadata=(("x-request-id", "mine"),)),
            served.create(metadata=(("x-request-id", "mine"),)),
        ):
            error = await failure_of(call)
            assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "Internal error (request mine)")
            assert rich(error)[0] == "INTERNAL"
        logged = [line for line in served.lines.kept if line["level"] == "error"]
        assert [(line["request_id"], line["exc_info"]) for line in logged] == [("mine", secret)] * 2


async def test_a_method_may_abort_by_itself() -> None:
    async def get(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Not yet.")

    async def create(request: Any, context: Any) -> AsyncIterator[model_pb2.Model]:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Not yet.")
        yield model_pb2.Model()

    async with serving(get, create) as served:
        for number, call in enumerate((served.get(), served.create())):
            error = await failure_of(call)
            assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, "Not yet.")
            assert (await served.lines.call(number))["code"] == "UNIMPLEMENTED"


@pytest.mark.parametrize("data", [b"\x0a\x02\xff\xfe", b"\xff\xff\xff", b"\x0a\xff"])
async def test_a_request_that_cannot_be_read_is_refused_in_our_own_words(data: bytes) -> None:
    """The first is a text that is not UTF-8, the others are no messages."""
    async with serving() as served:
        for call in (served.get(data), served.create(data)):
            error = await failure_of(call)
            assert (error.code(), rich(error)[0]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
            assert "UTF-8" in str(error.details())
            assert "Error" not in str(error.details())


async def test_an_unknown_method_is_refused_and_logged() -> None:
    async with serving() as served:
        channel: Any = served.channel
        unary = channel.unary_unary(f"/{SERVICE}/Forget", None, None)(b"")
        stream = channel.stream_stream("/no.such.Service/Method", None, None)()
        for number, call in enumerate((unary, stream)):
            error = await failure_of(call)
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
            assert (await served.lines.call(number))["code"] == "UNIMPLEMENTED"


async def test_a_call_leaves_one_line_with_what_its_method_noted() -> None:
    async def create(request: Any, context: Any) -> AsyncIterator[model_pb2.Model]:
        current_call().note(response_id="resp_1")
        yield model_pb2.Model()
        current_call().note(output_tokens=7)

    async with serving(create=create) as served:
        assert [_ async for _ in served.create(metadata=(("x-request-id", "mine"),))]
        line = await served.lines.call()
        line.pop("bound")
        assert served.lines.kept == [line]
        assert line == {
            "level": "info",
            "event": "call",
            "method": f"{SERVICE}/CreateResponse",
            "code": "OK",
            "owner": "local",
            "duration_ms": 1000.0,
            "request_id": "mine",
            "response_id": "resp_1",
            "output_tokens": 7,
        }


def test_outside_of_a_call_there_is_no_current_one() -> None:
    with pytest.raises(LookupError):
        current_call()
