"""Streams of responses that exist already: taken up at any event, and ended in order whatever happens."""

import aiohttp
import grpc
import pytest

from answerd.v1.event_pb2 import ResponseSnapshot
from tests.facade import scripts
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService, Refusal
from tests.support.event_order import check_events
from tests.support.sse import parse_frames

EVENTS = scripts.text("one", "two")
CUT = scripts.cut("one", "two")
STORED = scripts.completed([scripts.message("onetwo")])


@pytest.fixture(autouse=True)
def stored(service: FakeService) -> None:
    service.responses["resp_1"] = STORED


async def test_all_events_are_told_again(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.replay = EVENTS
    async with http.get(f"{url}/v1/responses/resp_1?stream=true") as reply:
        assert (reply.status, reply.content_type) == (200, "text/event-stream")
        check_events(parse_frames(await reply.read()))
    assert not service.requests[-1].HasField("starting_after")


async def test_a_stream_is_taken_up_after_an_event(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.replay = EVENTS[5:]
    query = "stream=true&starting_after=4&include[]=message.output_text.logprobs&include_obfuscation=false"
    async with http.get(f"{url}/v1/responses/resp_1?{query}") as reply:
        events = parse_frames(await reply.read())
    assert [event["sequence_number"] for event in events] == [event.sequence_number for event in EVENTS[5:]]
    assert (service.requests[-1].starting_after, len(service.requests[-1].include)) == (4, 1)


async def test_after_the_last_event_there_is_nothing_but_the_end(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/v1/responses/resp_1?stream=true&starting_after=99") as reply:
        assert await reply.read() == b"data: [DONE]\n\n"


async def test_a_stream_that_breaks_off_ends_with_what_is_known_of_the_response(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.replay = [*EVENTS[5:7], Refusal(grpc.StatusCode.UNAVAILABLE, message="gone")]
    async with http.get(f"{url}/v1/responses/resp_1?stream=true&starting_after=4") as reply:
        events = parse_frames(await reply.read())
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert (events[-1]["response"]["id"], events[-1]["response"]["model"]) == ("resp_1", STORED.model)


@pytest.mark.parametrize("ended", [EVENTS[-1].completed, CUT[-1].incomplete], ids=["completed", "incomplete"])
async def test_what_breaks_off_has_failed_and_nothing_else_although_the_response_had_ended(
    ended: ResponseSnapshot, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.responses["resp_1"] = ended.response
    service.replay = EVENTS[5:7]
    async with http.get(f"{url}/v1/responses/resp_1?stream=true&starting_after=4") as reply:
        failed = parse_frames(await reply.read())[-1]["response"]
    assert (failed["status"], failed["completed_at"], failed["incomplete_details"]) == ("failed", None, None)
    assert failed["usage"]["output_tokens"] == 3


@pytest.mark.parametrize(("told", "said"), [(2, []), (3, []), (5, ["one"])])
async def test_a_stream_from_the_beginning_that_breaks_off_ends_with_no_more_than_was_told(
    told: int, said: list[str], service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.replay = EVENTS[:told]
    async with http.get(f"{url}/v1/responses/resp_1?stream=true") as reply:
        events = parse_frames(await reply.read())
    check_events(events)
    parts = [part for item in events[-1]["response"]["output"] for part in item["content"]]
    assert [part["text"] for part in parts] == said


async def test_an_unknown_response_is_a_status_and_no_stream(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/v1/responses/resp_2?stream=true") as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (404, None)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("stream=yes", "invalid_type", "stream"),
        ("stream=true&include_obfuscation=1", "invalid_type", "include_obfuscation"),
        ("starting_after=3", "invalid_value", "starting_after"),
        ("stream=false&starting_after=3", "invalid_value", "starting_after"),
        ("stream=true&starting_after=", "invalid_type", "starting_after"),
        ("stream=true&starting_after=1.5", "invalid_type", "starting_after"),
        ("stream=true&starting_after=99999999999999999999", "invalid_type", "starting_after"),
        ("stream=true&starting_after=9999999999999999999", "invalid_value", "starting_after"),
        ("stream=true&include=all", "invalid_value", "include[0]"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_by_name(
    query: str, code: str, param: str, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{url}/v1/responses/resp_1?{query}") as reply:
        error = await error_of(reply)
        assert (reply.status, error["code"], error["param"]) == (400, code, param)
