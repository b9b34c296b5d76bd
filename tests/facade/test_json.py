"""Answers in one piece: the stream of the service folded into a response or an error."""

import asyncio
from typing import Any

import aiohttp
import grpc
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import INCOMPLETE_REASON_CANCELLED, IncompleteDetails, ResponseStatus
from facade.errors import SERVICE_RULES
from tests.facade import scripts
from tests.facade.fake_service import WAIT, FakeService, Refusal
from tests.support.openresponses import validate_response


async def create(http: aiohttp.ClientSession, url: str) -> tuple[aiohttp.ClientResponse, dict[str, Any]]:
    async with http.post(f"{url}/v1/responses", json={"input": "hi"}) as reply:
        return reply, await reply.json()


async def test_a_completed_response_is_the_answer(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.text("Hel", "lo")
    reply, body = await create(http, url)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert (body["object"], body["status"], body["output_text"]) == ("response", "completed", "Hello")
    validate_response(body)


async def test_it_has_31_keys_and_the_text(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.text("Hi")
    _, body = await create(http, url)
    assert len(body.keys() - {"output_text"}) == 31
    assert [key for key, value in body.items() if value is None] == [
        "incomplete_details",
        "error",
        "previous_response_id",
        "instructions",
        "max_tool_calls",
        "reasoning",
        "max_output_tokens",
        "safety_identifier",
        "prompt_cache_key",
    ]


async def test_a_call_has_no_text(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.function_call("{}")
    _, body = await create(http, url)
    assert body["output_text"] is None
    validate_response(body)


async def test_a_cut_answer_is_an_answer(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.cut("Hel")
    reply, body = await create(http, url)
    assert (reply.status, body["status"]) == (200, "incomplete")
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    validate_response(body)


async def test_a_cancelled_answer_is_an_answer(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    cancelled = scripts.response(
        ResponseStatus.RESPONSE_STATUS_CANCELLED,
        incomplete_details=IncompleteDetails(reason=INCOMPLETE_REASON_CANCELLED),
    )
    end = ResponseEvent(incomplete=scripts.snapshot(cancelled))
    service.script = scripts.numbered([*scripts.begin(), end])
    reply, body = await create(http, url)
    assert (reply.status, body["status"]) == (200, "cancelled")
    validate_response(body)


@pytest.mark.parametrize("reason", sorted(name for name, rule in SERVICE_RULES.items() if rule.code))
async def test_a_fault_of_any_reason_keeps_its_status_and_its_code(
    reason: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    rule = SERVICE_RULES[reason]
    assert rule.code is not None
    service.script = scripts.failed(rule.code, "Hel")
    reply, body = await create(http, url)
    assert (reply.status, body["error"]["code"], body["error"]["type"]) == (rule.status, rule.code, rule.type)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "Too late."), 504, "timeout"),
        (Refusal(grpc.StatusCode.INTERNAL, "INTERNAL", "secret"), 500, "server_error"),
    ],
)
async def test_a_call_that_fails_after_its_first_event_keeps_its_own_reason(
    refusal: Refusal, status: int, code: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.begin(), refusal]
    reply, body = await create(http, url)
    assert (reply.status, body["error"]["code"], body["response"]["status"]) == (status, code, "failed")
    assert "secret" not in str(body)
    assert body["error"]["message"].count("(request ") == (code == "server_error")


@pytest.mark.parametrize(
    ("code", "status", "retry"),
    [
        ("model_error", 500, "false"),
        ("store_unavailable", 503, "false"),
        ("unavailable", 503, None),
        ("something_new", 500, "false"),
    ],
)
async def test_a_failed_response_stands_beside_its_error(
    code: str, status: int, retry: str | None, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.failed(code, "Hel")
    reply, body = await create(http, url)
    assert (reply.status, reply.headers.get("x-should-retry")) == (status, retry)
    assert body.keys() == {"error", "response"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["response"]["status"] == "failed"
    assert body["response"]["output_text"] == "Hel"
    validate_response(body["response"])


async def test_a_failure_without_its_error_event_is_the_models(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    script = scripts.failed("model_error", "Hel")
    service.script = [*script[:-2], script[-1]]
    reply, body = await create(http, url)
    assert (reply.status, body["error"]["code"], body["error"]["message"]) == (500, "model_error", "It broke.")


async def test_a_service_that_dies_in_the_middle_is_503_with_what_is_known(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.text("one")[:5], WAIT]
    request = asyncio.create_task(create(http, url))
    await service.waiting.wait()
    await service.die()
    reply, body = await request
    assert (reply.status, body["error"]["code"], reply.headers["Retry-After"]) == (503, "unavailable", "1")
    assert body["response"]["status"] == "failed"
    validate_response(body["response"])


async def test_a_refusal_is_an_error_without_a_response(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [Refusal(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "No.", (("model", "No."),))]
    reply, body = await create(http, url)
    assert reply.status == 404
    assert body == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    }


VIOLATIONS = (
    ("input[0].content", "Empty."),
    ("max_output_tokens", "Too few."),
    ("n_choices", "Too few."),
    ("temperature", "Too hot."),
    ("text.format.name", "No name."),
)


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"input": "", "temperature": 9}, "input[0].content", "Empty."),
        ({"temperature": 9, "input": ""}, "temperature", "Too hot."),
        ({"temperature": None, "messages": ""}, "messages[0].content", "Empty."),
        ({"max_tokens": 0, "n": 0}, "max_tokens", "Too few."),
        ({"n": 0, "max_completion_tokens": 0}, "n", "Too few."),
        ({"text": {"verbosity": "low"}, "response_format": {"type": "text"}}, "response_format.name", "No name."),
        ({"text": {"format": {"type": "text"}}, "temperature": 9}, "text.format.name", "No name."),
        ({"user": "u"}, "input[0].content", "Empty."),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_names_the_first_fault_of_the_body_by_its_own_key(
    stream: bool,
    body: dict[str, Any],
    param: str,
    message: str,
    service: FakeService,
    url: str,
    http: aiohttp.ClientSession,
) -> None:
    service.script = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", "Empty.", VIOLATIONS)]
    async with http.post(f"{url}/v1/responses", json={"stream": stream, **body}) as reply:
        error = (await reply.json())["error"]
    assert (reply.status, error["param"], error["message"], error["code"]) == (400, param, message, "invalid_value")


async def test_a_client_that_leaves_cancels_the_call(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.text("one")[:5], WAIT]
    request = asyncio.create_task(create(http, url))
    await service.waiting.wait()
    request.cancel()
    assert await asyncio.wait_for(service.cancelled.wait(), 5)
