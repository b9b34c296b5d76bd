"""Streams: framing, order, schema, and one terminal event whatever happens."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import grpc
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from tests.facade import scripts
from tests.facade.conftest import StartFacade
from tests.facade.fake_service import WAIT, FakeService, Refusal, Step
from tests.support.event_order import check_events
from tests.support.openresponses import validate_event
from tests.support.sse import parse_frame, parse_frames, text_of

STREAM = {"input": "hi", "stream": True}

WHOLE_STREAMS: dict[str, Callable[[], list[ResponseEvent]]] = {
    "a text": lambda: scripts.text("Hel", "lo"),
    "a text of many scripts, line breaks included": lambda: scripts.text("ü\n", "\r\n", "日本", "🎈", "\u2028", '"\\'),
    "a text that was cut": lambda: scripts.cut("Hel"),
    "a function call": lambda: scripts.function_call('{"city":', '"Rome"}'),
    "thoughts": lambda: scripts.reasoning("Hm", "mm."),
    "a failure": lambda: scripts.failed("model_error", "Hel"),
}


async def stream(http: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        assert reply.status == 200
        return parse_frames(await reply.read())


def check(events: list[dict[str, Any]]) -> None:
    check_events(events)
    for event in events:
        validate_event(event)


@pytest.mark.parametrize("name", WHOLE_STREAMS)
async def test_a_stream_is_framed_ordered_and_valid(
    name: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = WHOLE_STREAMS[name]()
    check(await stream(http, url))


async def test_every_delta_arrives_as_it_was_sent(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.text("a\nb", "\r", " 🎈", "")
    assert text_of(await stream(http, url)) == "a\nb\r 🎈"


async def test_the_headers_of_a_stream_forbid_caching_and_buffering(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.text("Hi")
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        headers = {name: reply.headers[name] for name in ("Content-Type", "Cache-Control", "X-Accel-Buffering")}
        assert headers == {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
        }
        assert "x-request-id" in reply.headers


async def test_each_event_is_sent_when_it_happens(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    events = scripts.text("one", "two")
    service.script = [*events[:5], WAIT, *events[5:]]
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        early = b""
        while early.count(b"\n\n") < 5:
            early += await reply.content.readany()
        assert text_of(map(parse_frame, early.decode().split("\n\n")[:-1])) == "one"
        service.go.set()
        assert text_of(parse_frames(early + await reply.read())) == "onetwo"


async def test_each_frame_is_one_chunk_of_the_transfer_encoding(service: FakeService, url: str) -> None:
    """Read from the bare socket: a client that parses each chunk by itself sees only whole frames."""
    service.script = scripts.text("one", "two")
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"input":"hi","stream":true}'
    head = f"POST /v1/responses HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await reader.readuntil(b"\r\n\r\n")
    chunks = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    writer.close()
    assert len(chunks) == 11
    assert all(chunk.endswith(b"\n\n") and chunk.count(b"\n\n") == 1 for chunk in chunks)


async def test_a_silent_stream_carries_comments_between_whole_frames(
    service: FakeService, start_facade: StartFacade, http: aiohttp.ClientSession
) -> None:
    url = await start_facade(keep_alive_ms=20)
    events = scripts.text("one", "two")
    service.script = [*events[:5], WAIT, *events[5:]]
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        received = b""
        while received.count(b": keep-alive\n\n") < 2:
            received += await reply.content.readany()
        service.go.set()
        received += await reply.read()
    check(parse_frames(received))


async def test_a_stream_that_is_not_silent_carries_no_comments(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.text(*"many pieces of text")
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        assert b": keep-alive" not in await reply.read()


async def test_a_client_that_leaves_cancels_the_call(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.text("one")[:5], WAIT]
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        await reply.content.readany()
        await service.waiting.wait()
        reply.close()
    assert await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_a_client_that_leaves_before_the_first_event_cancels_the_call(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [WAIT]
    request = asyncio.create_task(http.post(f"{url}/v1/responses", json=STREAM))
    await service.waiting.wait()
    request.cancel()
    assert await asyncio.wait_for(service.cancelled.wait(), 5)


BREAKS: dict[str, list[Step]] = {
    "ends": [],
    "becomes unavailable": [Refusal(grpc.StatusCode.UNAVAILABLE, message="gone")],
    "fails with a reason": [Refusal(grpc.StatusCode.INTERNAL, "INTERNAL", "secret path /etc")],
    "fails without one": [Refusal(grpc.StatusCode.UNKNOWN, message="Traceback: secret")],
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("after", [1, 2, 5, 6, 9])
async def test_a_stream_that_breaks_off_still_ends_in_order(
    name: str, after: int, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.text("one", "two")[:after], *BREAKS[name]]
    events = await stream(http, url)
    check(events)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["message"] == events[-2]["error"]["message"] == events[-1]["response"]["error"]["message"]
    assert "secret" not in str(events)


async def test_a_service_that_dies_in_the_middle_is_reported_in_the_stream(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.text("one", "two")[:5], WAIT]
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        await service.waiting.wait()
        await service.die()
        events = parse_frames(await reply.read())
    check(events)
    assert events[-2]["code"] == "unavailable"
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "json"])
async def test_a_broken_response_ends_with_all_that_was_said(
    service: FakeService, url: str, http: aiohttp.ClientSession, streamed: bool
) -> None:
    for events, status in ((5, "incomplete"), (6, "incomplete"), (8, "incomplete"), (9, "completed")):
        service.script = scripts.text("one", "two")[:events]
        if streamed:
            failed = (await stream(http, url))[-1]["response"]
        else:
            async with http.post(f"{url}/v1/responses", json={"input": "hi"}) as reply:
                failed = (await reply.json())["response"]
        [item] = failed["output"]
        assert (item["status"], item["content"][0]["text"]) == (status, "one" if events == 5 else "onetwo")


async def test_a_stream_that_breaks_off_between_its_error_and_its_end_has_one_error(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.failed("model_error", "one")[:-1]
    events = await stream(http, url)
    check(events)
    assert events[-2]["code"] == "model_error"
    assert events[-1]["response"]["error"]["message"] == "It broke."


async def test_what_comes_after_the_terminal_event_is_not_sent(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.text("one"), *scripts.text("two")]
    check(await stream(http, url))


async def test_a_stream_whose_call_never_closes_ends_all_the_same(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [*scripts.text("one"), WAIT]
    check(await stream(http, url))
    assert await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_an_error_before_the_first_event_is_a_status(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", "full", retry_seconds=2.5)]
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (429, "3")
        assert (await reply.json())["error"]["code"] == "rate_limit_exceeded"


async def test_a_stream_without_any_event_is_an_internal_error(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = []
    async with http.post(f"{url}/v1/responses", json=STREAM) as reply:
        assert reply.status == 500


async def test_a_slow_reader_holds_up_only_its_own_stream(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    """One client reads nothing of a stream far larger than all buffers; another one's stream is served meanwhile."""
    taken: list[Step] = []

    def much() -> Iterator[Step]:
        for step in scripts.text(*["x" * 64_000] * 600):
            taken.append(step)
            yield step

    service.script = much()
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    body = b'{"input":"hi","stream":true}'
    head = b"POST /v1/responses HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)
    await reader.readuntil(b"\r\n\r\n")
    service.script = scripts.text("quick")
    stood = 0
    while stood < 20:  # so many others were served since the slow one last moved
        before = len(taken)
        check(await stream(http, url))
        stood = stood + 1 if len(taken) == before else 0
    assert len(taken) < 600
    writer.close()
    assert await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_reasoning_events_have_the_names_of_the_chosen_dialect(
    service: FakeService, start_facade: StartFacade, http: aiohttp.ClientSession
) -> None:
    url = await start_facade(reasoning_events="openresponses")
    service.script = scripts.reasoning("Hm.")
    events = await stream(http, url)
    check(events)
    kinds = [event["type"] for event in events]
    assert "response.reasoning.delta" in kinds
    assert "response.reasoning.done" in kinds
    assert not [kind for kind in kinds if "reasoning_text" in kind]
