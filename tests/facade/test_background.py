"""Responses in the background, over HTTP: the reply comes at once, or their events follow in it."""

import aiohttp
import grpc
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import ResponseStatus
from tests.facade import scripts
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService, Refusal
from tests.support.chunks import parse_chunks
from tests.support.event_order import check_events
from tests.support.openresponses import validate_response
from tests.support.sse import parse_frames

QUEUED = scripts.response(ResponseStatus.RESPONSE_STATUS_QUEUED, background=True)
BODY = {"input": "hi", "background": True}


def events() -> list[ResponseEvent]:
    """`created` and `queued`, and then what any other response has."""
    begin = [ResponseEvent(created=scripts.snapshot(QUEUED)), ResponseEvent(queued=scripts.snapshot(QUEUED))]
    others = scripts.text("one", "two")[1:]
    for event in others:
        name = event.WhichOneof("event") or ""
        if name in ("in_progress", "completed"):
            getattr(event, name).response.background = True
    return scripts.numbered([*begin, *others])


async def test_the_reply_is_the_queued_response(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = events()[:1]
    async with http.post(f"{url}/v1/responses", json=BODY) as reply:
        body = await reply.json()
    assert (reply.status, body["status"], body["background"]) == (200, "queued", True)
    validate_response(body)


async def test_a_streamed_one_is_followed_in_the_same_reply(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script, service.replay = events()[:1], events()[1:]
    async with http.post(f"{url}/v1/responses", json={**BODY, "stream": True}) as reply:
        told = parse_frames(await reply.read())
    check_events(told)
    assert [event["type"] for event in told[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert (service.requests[-1].id, service.requests[-1].starting_after) == (scripts.ID, 0)


async def test_a_streamed_one_comes_as_chunks_if_asked_for(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script, service.replay = events()[:1], events()[1:]
    async with http.post(f"{url}/v1/responses", json={**BODY, "stream": True, "stream_format": "chunks"}) as reply:
        told = parse_chunks(await reply.read())
    assert [chunk["delta"]["status"] for chunk in told] == ["queued", "in_progress", "in_progress", "completed"]


async def test_one_that_cannot_be_followed_ends_in_order(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = events()[:1]
    service.replay = [Refusal(grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND", "It was deleted.")]
    async with http.post(f"{url}/v1/responses", json={**BODY, "stream": True}) as reply:
        told = parse_frames(await reply.read())
    check_events(told)
    assert [event["type"] for event in told] == ["response.created", "error", "response.failed"]


async def test_a_cancelled_response_is_returned(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.responses["resp_1"] = scripts.response(ResponseStatus.RESPONSE_STATUS_CANCELLED, background=True)
    async with http.post(f"{url}/v1/responses/resp_1/cancel") as reply:
        body = await reply.json()
    assert (reply.status, body["status"]) == (200, "cancelled")
    validate_response(body)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CANCELLABLE", "no"), 400, "not_cancellable"),
        (Refusal(grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND", "no"), 404, None),
    ],
)
async def test_what_cannot_be_cancelled_is_refused(
    refusal: Refusal, status: int, code: str | None, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = refusal
    async with http.post(f"{url}/v1/responses/resp_1/cancel") as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (status, code)
