"""The benchmark's client reads a stream however it is cut, and takes nothing else for an answer."""

from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bench.prompts import Prompt
from bench.sse_client import Answer, ClientError, SseClient, read_answer

PROMPT = Prompt("Be brief.", "Hello", (1, 2, 3))


def frame(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def stream(*deltas: str, status: str = "incomplete") -> bytes:
    usage = {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 9}
    response = {"id": "resp_1", "status": status, "usage": usage, "error": {"message": "the model failed"}}
    parts = [frame("response.created"), b": keep-alive\n\n"]
    parts += [frame("response.output_text.delta", delta=delta) for delta in deltas]
    return b"".join([*parts, frame(f"response.{status}", response=response), b"data: [DONE]\n\n"])


async def cut(body: bytes, *places: int) -> AsyncIterator[bytes]:
    bounds = [0, *sorted(place % len(body) for place in places), len(body)]
    for start, end in pairwise(bounds):
        yield body[start:end]


@given(st.lists(st.integers(min_value=0)))
async def test_an_answer_is_read_however_the_network_cuts_it(places: list[int]) -> None:
    answer = await read_answer(cut(stream("a", "b\n\n", "é"), *places), start=0)
    assert (answer.id, answer.stream.tokens, answer.stream.cached) == ("resp_1", 9, 2)
    assert answer.stream.first <= answer.stream.last <= answer.stream.end


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (stream("a").rpartition(b"event: ")[0], "broke off"),
        (stream("a", status="failed"), "failed with 1 deltas: .*the model failed"),
        (stream(), "incomplete with 0 deltas"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(body: bytes, complaint: str) -> None:
    with pytest.raises(ClientError, match=complaint):
        await read_answer(cut(body), start=0)


@pytest.fixture
async def received() -> list[dict[str, Any]]:
    return []


@pytest.fixture
async def client(received: list[dict[str, Any]], free_port: Callable[[], int]) -> AsyncIterator[SseClient]:
    """A client of a server that answers everything with one stream, and refuses texts that say so."""

    async def answer(request: web.Request) -> web.Response:
        received.append(await request.json())
        if received[-1]["input"] == "refuse":
            return web.Response(status=429, text="too many")
        return web.Response(body=stream("a"))

    app, port = web.Application(), free_port()
    app.router.add_post("/v1/responses", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession() as session:
        yield SseClient("fake", session, f"http://127.0.0.1:{port}/v1/responses")
    await runner.cleanup()


async def test_requests_are_greedy_streams_with_the_prompts_two_texts(
    client: SseClient, received: list[dict[str, Any]]
) -> None:
    answer = await client.ask(PROMPT, 128, previous="resp_0", parameters={"frequency_penalty": -2.0})
    assert isinstance(answer, Answer)
    assert received == [
        {
            "instructions": "Be brief.",
            "input": "Hello",
            "previous_response_id": "resp_0",
            "max_output_tokens": 128,
            "temperature": 0,
            "stream": True,
            "frequency_penalty": -2.0,
        }
    ]


async def test_a_prompt_that_the_product_counts_otherwise_is_an_error(client: SseClient) -> None:
    assert [answer.tokens for answer in await client.generate([PROMPT, PROMPT], 16)] == [9, 9]
    with pytest.raises(ClientError, match="A prompt of 4 tokens was counted as 3"):
        await client.generate([Prompt("", "", (1, 2, 3, 4))], 16)


async def test_a_refusal_is_an_error_with_its_status_and_text(client: SseClient) -> None:
    with pytest.raises(ClientError, match="429: too many"):
        await client.ask(Prompt("", "refuse", ()), 16)
