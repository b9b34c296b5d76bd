"""POST /v1/responses/compact: what is asked of the service, what the reply looks like, and what is refused here."""

from typing import Any

import aiohttp
import grpc
import httpx2
import pytest
from openai import AsyncOpenAI

from tests.facade import scripts
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService, Refusal
from tests.support.replies import CheckedAsyncTransport


async def test_a_conversation_is_compacted(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.compacted = scripts.compacted()
    body = {
        "model": "tiny",
        "messages": "hi",
        "instructions": "be brief",
        "prompt_cache_key": "k",
        "service_tier": "flex",
    }
    async with http.post(f"{url}/v1/responses/compact", json=body) as reply:
        made = await reply.json()
    assert list(made) == ["id", "object", "created_at", "output", "usage"]
    assert (made["id"], made["object"]) == ("compacted_1", "response.compaction")
    assert made["output"][1] == {"type": "compaction", "id": "cmp_1", "encrypted_content": "c2VhbGVk"}
    assert made["usage"]["output_tokens"] == 3
    [asked] = service.requests
    assert (asked.model, asked.input.text, asked.instructions, asked.prompt_cache_key) == (
        "tiny",
        "hi",
        "be brief",
        "k",
    )


async def test_what_comes_back_can_be_sent_in_again(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.compacted = scripts.compacted()
    async with http.post(f"{url}/v1/responses/compact", json={"model": "m", "input": "hi"}) as reply:
        output = (await reply.json())["output"]
    service.script = scripts.text("Hi")
    body = {"input": [*output, {"role": "user", "content": "and?"}]}
    async with http.post(f"{url}/v1/responses", json=body) as reply:
        assert reply.status == 200
    sent = service.requests[-1].input.items.items
    assert sent[1] == service.compacted.output[1]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": "hi", "stream": True, "model": "m"}, "stream", "unknown_parameter"),
        ({"input": "hi", "temperature": 1, "model": "m"}, "temperature", "unknown_parameter"),
        ({"input": [{"type": "compaction"}], "model": "m"}, "input[0].encrypted_content", "missing_required_parameter"),
        ({"input": "hi", "model": 7}, "model", "invalid_type"),
        ({"input": "hi", "model": "m", "service_tier": "slow"}, "service_tier", "invalid_value"),
        (
            {"input": "hi", "model": "m", "prompt_cache_retention": "24h"},
            "prompt_cache_retention",
            "unsupported_parameter",
        ),
    ],
)
async def test_a_request_of_the_wrong_form_is_refused(
    body: dict[str, Any], param: str, code: str, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{url}/v1/responses/compact", json=body) as reply:
        error = await error_of(reply)
        assert (reply.status, error["param"], error["code"]) == (400, param, code)


async def test_a_refusal_of_the_service_is_passed_on(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "MISSING_REQUIRED_PARAMETER", violations=(("model", "no"),)
    )
    async with http.post(f"{url}/v1/responses/compact", json={"input": "hi"}) as reply:
        error = await error_of(reply)
        assert (reply.status, error["param"]) == (400, "model")


async def test_the_sdk_compacts(service: FakeService, url: str) -> None:
    service.compacted = scripts.compacted()
    http_client = httpx2.AsyncClient(transport=CheckedAsyncTransport())
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, http_client=http_client) as client:
        made = await client.responses.compact(model="tiny", input="hi")
    assert [item.type for item in made.output] == ["message", "compaction"]
