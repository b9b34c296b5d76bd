"""A client of the product over HTTP and server-sent events, which notes when the tokens arrive.

Looks at as little of the stream as it can: it shares its cores with what it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from bench.prompts import Prompt
from bench.protocol import Stream

HEADERS = {"content-type": "application/json"}
DELTA = b"event: response.output_text.delta\n"
LAST_EVENTS = tuple(f"event: response.{name}\n".encode() for name in ("completed", "incomplete", "failed"))


class ClientError(Exception):
    """The product answered otherwise than it was asked to."""


@dataclass(frozen=True)
class Answer:
    """One streamed response: how it came, the response object of its last event, and when each delta came, in seconds
    since it was sent."""

    stream: Stream
    response: Mapping[str, Any]
    times: Sequence[float] = ()

    @property
    def id(self) -> str:
        return str(self.response["id"])


class SseClient:
    """Sends requests to one server; `session` has no limit on connections."""

    def __init__(self, name: str, session: aiohttp.ClientSession, url: str) -> None:
        self.name = name
        self._session = session
        self._url = url

    async def generate(
        self, prompts: Sequence[Prompt], max_tokens: int, parameters: Mapping[str, Any] = {}
    ) -> list[Stream]:
        """All prompts at once, greedily. Raises ClientError unless each had as many tokens as it was made with.

        parameters: further ones of each request.
        """
        start = time.perf_counter()
        answers = await asyncio.gather(
            *(self.ask(prompt, max_tokens, start=start, parameters=parameters) for prompt in prompts)
        )
        for prompt, answer in zip(prompts, answers, strict=True):
            if (counted := answer.response["usage"]["input_tokens"]) != len(prompt.tokens):
                raise ClientError(f"A prompt of {len(prompt.tokens)} tokens was counted as {counted}.")
        return [answer.stream for answer in answers]

    async def ask(
        self,
        prompt: Prompt,
        max_tokens: int,
        *,
        previous: str | None = None,
        start: float | None = None,
        parameters: Mapping[str, Any] = {},
    ) -> Answer:
        """One response, as a turn after `previous` if that is given. start: when it counts as sent, default now."""
        body = {
            "instructions": prompt.instructions,
            "input": prompt.text,
            "max_output_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            **parameters,
        }
        if previous is not None:
            body["previous_response_id"] = previous
        start = time.perf_counter() if start is None else start
        async with self._session.post(self._url, data=orjson.dumps(body), headers=HEADERS) as reply:
            if reply.status != 200:
                raise ClientError(f"{reply.status}: {(await reply.text())[:500]}")
            return await read_answer(reply.content.iter_any(), start)

    async def whole(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One response that is not streamed. Raises ClientError."""
        async with self._session.post(self._url, data=orjson.dumps(body), headers=HEADERS) as reply:
            if reply.status != 200:
                raise ClientError(f"{reply.status}: {(await reply.text())[:500]}")
            response: Mapping[str, Any] = orjson.loads(await reply.read())
            return response


async def read_answer(chunks: AsyncIterator[bytes], start: float) -> Answer:
    """Reads a whole event stream. Raises ClientError if it does not end as a response that has text."""
    times: list[float] = []
    last_event = b""
    async for frame in _frames(chunks):
        if frame.startswith(DELTA):
            times.append(time.perf_counter() - start)
        elif frame.startswith(LAST_EVENTS):
            last_event = frame
    end = time.perf_counter() - start
    if not last_event:
        raise ClientError("The stream broke off.")
    response = orjson.loads(last_event.split(b"\ndata: ", 1)[1])["response"]
    if response["status"] == "failed" or not times:
        raise ClientError(f"A response {response['status']} with {len(times)} deltas: {response['error']}")
    usage = response["usage"]
    cached = usage["input_tokens_details"]["cached_tokens"]
    return Answer(Stream(times[0], times[-1], end, usage["output_tokens"], cached), response, times)


async def _frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            yield frame
