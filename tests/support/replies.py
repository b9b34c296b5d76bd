"""Looks at every reply that passes an HTTP client (httpx2's, so OpenAI's too, or aiohttp's), and fails the test if it
breaks the contract, whoever sent it.

It knows the forms of the replies, not what a test asked for.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import aiohttp
import httpx2

from tests.support.chunks import BEGINNING, parse_chunks
from tests.support.event_order import TERMINAL, check_beginning, check_events, check_numbers, check_rest
from tests.support.openresponses import validate_compaction, validate_event, validate_response
from tests.support.sse import DONE, parse_frame, parse_frames

ENVELOPE = {"message", "type", "param", "code"}
END = f"data: {DONE}\n\n".encode()


def check_whole_stream(events: Sequence[dict[str, Any]]) -> None:
    """The events of a stream that was read to its end; one that was taken up again may begin anywhere, or be empty."""
    for event in events:
        validate_event(event)
    if events and events[0]["sequence_number"] == 0:
        check_events(events)
    else:
        check_rest(events)


def check_part_of_stream(events: Sequence[dict[str, Any]]) -> None:
    """The events of a stream that somebody left."""
    for event in events:
        validate_event(event)
    if events and events[0]["sequence_number"] == 0:
        check_beginning(events)
    else:
        check_numbers(events)


def check_events_of(events: Sequence[dict[str, Any]]) -> None:
    """The events of a stream, read to its end or not."""
    whole = bool(events) and events[-1]["type"] in TERMINAL
    (check_whole_stream if whole else check_part_of_stream)(events)


def check_stream(body: bytes) -> None:
    """The bytes of a stream, as far as they were read."""
    if body.startswith(BEGINNING):
        if body.endswith(END):
            parse_chunks(body)
        return
    if body.endswith(END):
        check_whole_stream(parse_frames(body))
        return
    # The last piece is half a frame, or nothing.
    frames = body.decode(errors="replace").split("\n\n")[:-1]
    check_part_of_stream([parse_frame(frame) for frame in frames if not frame.startswith(":")])


def check_body(status: int, body: bytes) -> None:
    """A JSON reply of the API, whatever route it came from."""
    reply = json.loads(body)
    if status >= 400 and "status" not in reply:
        assert reply["error"].keys() == ENVELOPE
        assert reply["error"]["message"]
        reply = reply.get("response", reply)
    if reply.get("object") == "response":
        validate_response(reply)
    elif reply.get("object") == "response.compaction":
        validate_compaction(reply)


class _Watch:
    """Gathers the body of one reply and checks it when it ends."""

    def __init__(self, response: httpx2.Response) -> None:
        assert response.headers["x-request-id"], "a reply without an id"
        self._status = response.status_code
        self._is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        self._body = b""
        self._whole = False

    def take(self, chunk: bytes) -> None:
        self._body += chunk

    def end(self) -> None:
        self._whole = True

    def check(self) -> None:
        if self._is_stream:
            check_stream(self._body)
            assert not self._whole or self._body.endswith(END), "a stream ends without [DONE]"
        elif self._whole and self._body:
            check_body(self._status, self._body)


class _WatchedStream(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, watch: _Watch) -> None:
        self._stream, self._watch = stream, watch

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._watch.take(chunk)
            yield chunk
        self._watch.end()

    def close(self) -> None:
        self._stream.close()
        self._watch.check()


class _WatchedAsyncStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, watch: _Watch) -> None:
        self._stream, self._watch = stream, watch

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._watch.take(chunk)
            yield chunk
        self._watch.end()

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._watch.check()


class CheckedTransport(httpx2.HTTPTransport):
    """For httpx2.Client, the SDK's included."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _WatchedStream(response.stream, _Watch(response))
        return response


class CheckedAsyncTransport(httpx2.AsyncHTTPTransport):
    """For httpx2.AsyncClient, the SDK's included."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _WatchedAsyncStream(response.stream, _Watch(response))
        return response


class CheckedReply(aiohttp.ClientResponse):
    """For aiohttp.ClientSession: a reply that is read whole, and in one piece, is checked."""

    async def read(self) -> bytes:
        body = await super().read()
        if len(body) != getattr(self.content, "total_bytes", len(body)):
            return body
        if self.content_type == "text/event-stream":
            check_stream(body)
        elif self.content_type == "application/json" and body:
            check_body(self.status, body)
        return body
