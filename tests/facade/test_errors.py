"""Failures of the service as HTTP shows them: one row for each reason, and nothing of the inside."""

import aiohttp
import grpc
import orjson
import pytest

from answerd.v1.error_pb2 import ErrorReason
from facade.errors import HTTP_RULES, RULES, SERVICE_RULES, ApiError
from tests.facade.fake_service import FakeService, Refusal

REASONS = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118
# Status, type and code of the wire contract. The table in the code is held against this one.
EXPECTED: dict[str, tuple[int, str, str | None]] = {
    "REQUEST_TOO_LARGE": (413, "invalid_request_error", "request_too_large"),
    "MISSING_REQUIRED_PARAMETER": (400, "invalid_request_error", "missing_required_parameter"),
    "INVALID_TYPE": (400, "invalid_request_error", "invalid_type"),
    "INVALID_VALUE": (400, "invalid_request_error", "invalid_value"),
    "UNKNOWN_PARAMETER": (400, "invalid_request_error", "unknown_parameter"),
    "UNSUPPORTED_PARAMETER": (400, "invalid_request_error", "unsupported_parameter"),
    "UNSUPPORTED_CONTENT": (400, "invalid_request_error", "unsupported_content"),
    "MODEL_NOT_FOUND": (404, "invalid_request_error", "model_not_found"),
    "PREVIOUS_RESPONSE_NOT_FOUND": (400, "invalid_request_error", "previous_response_not_found"),
    "PREVIOUS_RESPONSE_NOT_USABLE": (400, "invalid_request_error", "previous_response_not_usable"),
    "ITEM_NOT_FOUND": (404, "invalid_request_error", "item_not_found"),
    "TOOL_CALL_NOT_FOUND": (400, "invalid_request_error", "tool_call_not_found"),
    "CONTEXT_LENGTH_EXCEEDED": (400, "invalid_request_error", "context_length_exceeded"),
    "INVALID_API_KEY": (401, "invalid_request_error", "invalid_api_key"),
    "RESPONSE_NOT_FOUND": (404, "invalid_request_error", None),
    "NOT_CANCELLABLE": (400, "invalid_request_error", "not_cancellable"),
    "IDEMPOTENCY_KEY_REUSED": (422, "invalid_request_error", "idempotency_key_reused"),
    "RATE_LIMIT_EXCEEDED": (429, "rate_limit_error", "rate_limit_exceeded"),
    "UNAVAILABLE": (503, "server_error", "unavailable"),
    "STORE_UNAVAILABLE": (503, "server_error", "store_unavailable"),
    "MODEL_ERROR": (500, "server_error", "model_error"),
    "DEADLINE_EXCEEDED": (504, "server_error", "timeout"),
    "INTERNAL": (500, "server_error", "server_error"),
}


def test_every_reason_of_the_contract_has_a_row() -> None:
    assert SERVICE_RULES.keys() == REASONS == EXPECTED.keys()


def test_the_reasons_of_http_alone_are_none_of_the_service() -> None:
    assert not SERVICE_RULES.keys() & HTTP_RULES.keys()


@pytest.mark.parametrize("reason", sorted(EXPECTED))
async def test_a_refusal_of_the_service_becomes_its_status_type_and_code(
    reason: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = Refusal(grpc.StatusCode.INVALID_ARGUMENT, reason, "It will not do.", (("input[0]", "bad"),))
    async with http.get(f"{url}/v1/responses/resp_1") as reply:
        error = (await reply.json())["error"]
        assert (reply.status, error["type"], error["code"]) == EXPECTED[reason]
        if reason != "INTERNAL":
            assert (error["message"], error["param"]) == ("It will not do.", "input[0]")
        assert reply.content_type == "application/json"
        assert reply.headers["x-request-id"]


@pytest.mark.parametrize(
    ("reason", "header", "value"),
    [
        ("INVALID_API_KEY", "WWW-Authenticate", "Bearer"),
        ("RATE_LIMIT_EXCEEDED", "Retry-After", "1"),
        ("UNAVAILABLE", "Retry-After", "1"),
        ("MODEL_ERROR", "x-should-retry", "false"),
        ("DEADLINE_EXCEEDED", "x-should-retry", "false"),
    ],
)
async def test_a_reason_brings_its_headers(
    reason: str, header: str, value: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = Refusal(grpc.StatusCode.INTERNAL, reason)
    async with http.get(f"{url}/v1/responses/resp_1") as reply:
        assert reply.headers[header] == value


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (5.0, "5"), (5.1, "6")])
async def test_the_delay_that_the_service_asks_for_is_rounded_up(
    seconds: float, header: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = Refusal(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", retry_seconds=seconds)
    async with http.get(f"{url}/v1/responses/resp_1") as reply:
        assert reply.headers["Retry-After"] == header


async def test_the_first_violation_is_the_one_that_is_named(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    faults = (("temperature", "too hot"), ("top_p", "too much"))
    service.refusal = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", "too hot", faults)
    async with http.get(f"{url}/v1/responses/resp_1") as reply:
        assert (await reply.json())["error"]["param"] == "temperature"


BARE = {
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_a_bare_code_keeps_its_text_to_itself(
    code: grpc.StatusCode, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = Refusal(code, message="Traceback (most recent call last): secret")
    async with http.get(f"{url}/v1/responses/resp_1") as reply:
        assert reply.status == BARE.get(code, 500)
        assert "secret" not in await reply.text()


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND", "secret", domain="somebody.else"),
        Refusal(grpc.StatusCode.NOT_FOUND, "A_REASON_OF_THE_FUTURE", "secret"),
        Refusal(grpc.StatusCode.INTERNAL, "INTERNAL", "secret"),
    ],
)
async def test_what_is_not_known_is_an_internal_error_with_the_request_id(
    refusal: Refusal, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = refusal
    async with http.get(f"{url}/v1/responses/resp_1", headers={"x-request-id": "abc"}) as reply:
        assert reply.status == 500
        assert (await reply.json())["error"]["message"] == "Internal error (request abc)"


async def test_a_service_that_cannot_be_reached_is_503_with_a_time_to_come_back(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    await service.die()
    async with http.post(f"{url}/v1/responses", json={"input": "hi"}) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert (await reply.json())["error"]["code"] == "unavailable"


@pytest.mark.parametrize("reason", sorted(RULES))
def test_the_envelope_has_its_four_keys(reason: str) -> None:
    envelope = orjson.loads(ApiError(reason, "No.").body("req_1"))
    assert envelope.keys() == {"error"}
    assert envelope["error"].keys() == {"message", "type", "param", "code"}
