"""Messages and what answers them: the events of SSE without its frames, one response at a time, errors as events."""

import asyncio
import json
import random
from typing import Any

import aiohttp
import grpc
import pytest

from facade.create_request import ALIASES, KNOWN
from facade.unsupported import KEYS
from facade.websocket.inbox import MAX_MESSAGES
from facade.websocket.message import BESIDE
from tests.facade import scripts
from tests.facade.fake_service import WAIT, FakeService, Refusal
from tests.support.sse import parse_frames
from tests.support.talk import Talk

BUSY = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", "full", retry_seconds=3.0)


async def test_the_events_are_those_of_sse(
    service: FakeService, url: str, http: aiohttp.ClientSession, talk: Talk
) -> None:
    for script in (scripts.text("one", "two"), scripts.function_call("{", "}"), scripts.reasoning("hm")):
        service.script = script
        async with http.post(f"{url}/v1/responses", json={"input": "hi", "stream": True}) as reply:
            told = parse_frames(await reply.read())
        assert await talk.ask(input="hi") == told


async def test_a_failed_response_ends_as_over_sse(service: FakeService, talk: Talk) -> None:
    service.script = scripts.failed("model_error", "one")
    assert [event["type"] for event in await talk.ask(input="hi")][-2:] == ["error", "response.failed"]


async def test_a_stream_that_breaks_off_says_so(service: FakeService, talk: Talk) -> None:
    service.script = [*scripts.text("one")[:5], Refusal(grpc.StatusCode.UNAVAILABLE, message="gone")]
    assert [event["type"] for event in await talk.ask(input="hi")][-2:] == ["error", "response.failed"]


async def test_what_the_body_says_reaches_the_service(service: FakeService, talk: Talk) -> None:
    service.script = scripts.text("Hi")
    await talk.ask(input="hi", temperature=0, n=2, generate=True, stream_id=None, stream_format="events")
    request = service.requests[0]
    assert (request.input.text, request.temperature, request.n_choices) == ("hi", 0.0, 2)


@pytest.mark.parametrize("key", ["stream", "stream_options", "background"])
@pytest.mark.parametrize("value", [None, False, True, {}, "x"])
async def test_what_belongs_to_http_is_refused_whatever_its_value(
    key: str, value: object, service: FakeService, talk: Talk
) -> None:
    assert await talk.refusal({"input": "hi", key: value}) == (400, "unsupported_parameter", key)
    assert not service.requests


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"generate": False}, "unsupported_parameter", "generate"),
        ({"stream_id": "a"}, "unsupported_parameter", "stream_id"),
        ({"stream_format": "chunks"}, "unsupported_parameter", "stream_format"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
        ({"unstored_parent_id": "resp_1"}, "unknown_parameter", "unstored_parent_id"),
        ({"bogus": 1}, "unknown_parameter", "bogus"),
        ({"temperature": "hot"}, "invalid_type", "temperature"),
        ({"type": None}, "missing_required_parameter", "type"),
        ({"type": 3}, "invalid_type", "type"),
        ({"type": "session.update"}, "invalid_value", "type"),
        ({"type": "response.steer", "previous_response_id": "resp_1"}, "unsupported_parameter", "type"),
    ],
)
async def test_a_wrong_message_is_refused_by_name_and_the_connection_stays(
    body: dict[str, object], code: str, param: str, service: FakeService, talk: Talk
) -> None:
    assert await talk.refusal({"input": "hi", **body}) == (400, code, param)
    service.script = scripts.text("Hi")
    assert (await talk.ask(input="hi"))[-1]["type"] == "response.completed"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000])
async def test_broken_json_is_refused_and_the_connection_stays(text: str, talk: Talk) -> None:
    await talk.socket.send_str(text)
    (event,) = await talk.hear()
    assert (event["status"], event["error"]["code"]) == (400, "malformed_json")
    assert (await talk.refusal(bogus=1))[1] == "unknown_parameter"


async def test_a_text_that_is_no_utf_8_is_refused_like_broken_json(talk: Talk) -> None:
    await talk.socket.send_frame(b'{"type": "\xff"}', aiohttp.WSMsgType.TEXT)
    assert (await talk.hear())[0]["error"]["code"] == "malformed_json"


async def test_binary_messages_are_refused(talk: Talk) -> None:
    await talk.socket.send_bytes(json.dumps({"type": "response.create", "input": "hi"}).encode())
    (event,) = await talk.hear()
    assert (event["status"], "text" in event["error"]["message"]) == (400, True)


async def test_a_refusal_of_the_service_has_its_status_and_headers(service: FakeService, talk: Talk) -> None:
    service.script = [BUSY]
    (event,) = await talk.ask(input="hi")
    assert (event["status"], event["error"]["code"], event["error"]["type"]) == (
        429,
        "rate_limit_exceeded",
        "rate_limit_error",
    )
    assert event["error"]["headers"] == {"Retry-After": "3"}


async def test_a_fault_is_named_in_the_clients_words(service: FakeService, talk: Talk) -> None:
    violations = (("max_output_tokens", "must be at least 1"),)
    service.script = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", "no", violations)]
    assert await talk.refusal(input="hi", max_tokens=0) == (400, "invalid_value", "max_tokens")


async def test_what_nobody_foresaw_is_told_with_the_id_of_the_turn_alone(service: FakeService, talk: Talk) -> None:
    service.script = [Refusal(grpc.StatusCode.UNKNOWN, message="Traceback: secret")]
    (event,) = await talk.ask(input="hi")
    assert (event["status"], event["error"]["code"]) == (500, "server_error")
    assert "secret" not in event["error"]["message"]
    assert service.metadata[0]["x-request-id"] in event["error"]["message"]


async def test_each_turn_has_a_request_id_of_its_own_and_no_idempotency_key(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.text("Hi")
    headers = {"x-request-id": "mine", "idempotency-key": "once", "authorization": "Bearer k"}
    async with http.ws_connect(f"{url}/v1/responses", headers=headers) as socket:
        talk = Talk(socket)
        await talk.ask(input="hi")
        await talk.ask(input="hi")
    assert [called["x-request-id"] for called in service.metadata] == ["mine-1", "mine-2"]
    assert all(called["authorization"] == "Bearer k" for called in service.metadata)
    assert not any("idempotency-key" in called for called in service.metadata)


async def test_messages_wait_for_the_running_response(service: FakeService, talk: Talk) -> None:
    whole = scripts.text("one", "two")
    service.script = [*whole[:5], WAIT, *whole[5:]]
    for number in range(3):
        await talk.send(input=f"question {number}")
    await service.waiting.wait()
    assert len(service.requests) == 1
    service.go.set()
    for _ in range(3):
        assert (await talk.hear())[-1]["type"] == "response.completed"
    assert [request.input.text for request in service.requests] == [f"question {number}" for number in range(3)]


async def test_more_messages_than_may_wait_are_read_when_there_is_room(service: FakeService, talk: Talk) -> None:
    count = 3 * MAX_MESSAGES
    whole = scripts.text("one", "two")
    service.script = [*whole[:5], WAIT, *whole[5:]]
    sending = asyncio.gather(*(talk.send(input=str(number)) for number in range(count)))
    await service.waiting.wait()
    service.go.set()
    for _ in range(count):
        await talk.hear()
    await sending
    assert [request.input.text for request in service.requests] == [str(number) for number in range(count)]


async def test_whatever_is_sent_is_answered_once(service: FakeService, talk: Talk) -> None:
    service.script = scripts.text("Hi")
    dice = random.Random(0)
    keys = [*sorted(KNOWN), *sorted(ALIASES), *sorted(KEYS), *sorted(BESIDE), "previous_response_id", "bogus"]
    values: list[Any] = [
        None,
        True,
        0,
        -1.5,
        "",
        "resp_1",
        [],
        [{}],
        {},
        {"type": "x"},
        [{"role": "user", "content": "a"}],
    ]
    for _ in range(300):
        body = {key: dice.choice(values) for key in dice.sample(keys, dice.randrange(4))}
        last = (await talk.ask({"input": "hi", **body}))[-1]
        assert last["type"] == "response.completed" or last["status"] == 400, (body, last)
