"""`stream_format: chunks`: what each chunk says, and that nothing but chunks comes."""

from typing import Any

import aiohttp
import pytest

from answerd.v1.logprob_pb2 import LogProb
from tests.facade import scripts
from tests.facade.fake_service import FakeService, Step
from tests.support.chunks import KEYS, check_chunks, parse_chunks


async def chunks(service: FakeService, url: str, http: aiohttp.ClientSession, script: list[Step]) -> list[Any]:
    service.script = script
    body = {"input": "hi", "stream": True, "stream_format": "chunks"}
    async with http.post(f"{url}/v1/responses", json=body) as reply:
        assert reply.content_type == "text/event-stream"
        return parse_chunks(await reply.read())


async def test_text_comes_in_chunks_under_one_id(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    found = await chunks(service, url, http, list(scripts.text("Hel", "lo")))
    [first, *deltas, last] = found
    assert [list(chunk) for chunk in found] == [KEYS] * 4
    assert first["id"] == "resp_1"
    assert first["delta"] == {"output": [], "status": "in_progress"}
    assert [chunk["delta"] for chunk in deltas] == [
        {
            "output": [{"id": scripts.ITEM_ID, "type": "message", "content": [{"type": "output_text", "text": piece}]}],
            "status": "in_progress",
        }
        for piece in ("Hel", "lo")
    ]
    assert last["delta"] == {"output": [], "status": "completed"}
    assert last["usage"]["output_tokens"] > 0


@pytest.mark.parametrize(
    ("script", "item"),
    [
        (
            scripts.function_call("{", "}"),
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{"},
        ),
        (scripts.reasoning("I", " am"), {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "I"}]}),
    ],
)
async def test_calls_and_thoughts_have_their_own_form(
    script: list[Step], item: dict[str, Any], service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    found = await chunks(service, url, http, script)
    [first] = found[1]["delta"]["output"]
    assert {key: first[key] for key in item} == item


async def test_log_probabilities_stand_beside_their_text(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    script = scripts.text("Hi")
    script[4].output_text_delta.logprobs.append(LogProb(token="Hi", logprob=-0.5, bytes=b"Hi"))
    found = await chunks(service, url, http, list(script))
    [part] = found[1]["delta"]["output"][0]["content"]
    assert part["logprobs"] == [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]


async def test_a_stream_that_is_cut_off_or_fails_says_so_in_its_last_chunk(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    cut = (await chunks(service, url, http, list(scripts.cut("Hel"))))[-1]
    assert (cut["delta"]["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    failed = (await chunks(service, url, http, list(scripts.failed("model_error", "Hel"))))[-1]
    assert (failed["delta"]["status"], failed["error"]["message"]) == ("failed", "It broke.")


async def test_a_service_that_breaks_off_ends_the_chunks_too(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    found = await chunks(service, url, http, list(scripts.text("Hel", "lo")[:5]))
    assert (found[-1]["delta"]["status"], found[-1]["error"]["code"]) == ("failed", "server_error")


async def test_without_a_stream_the_format_says_nothing(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.text("Hi")
    async with http.post(f"{url}/v1/responses", json={"input": "hi", "stream_format": "chunks"}) as reply:
        assert (await reply.json())["output_text"] == "Hi"


async def test_the_checker_of_chunks_notices_what_is_wrong(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    found = await chunks(service, url, http, list(scripts.text("Hel", "lo")))
    other_id = [*found[:-1], {**found[-1], "id": "resp_2"}]
    for broken in (found[:-1], [*found, found[-1]], other_id, [dict(reversed(found[0].items())), *found[1:]]):
        with pytest.raises(AssertionError):
            check_chunks(broken)
