"""The routes about input: its items in pages, and its tokens."""

from typing import Any

import aiohttp
import grpc
import httpx2
import pytest
from openai import AsyncOpenAI

from answerd.v1.input_items_pb2 import ListInputItemsResponse, ListOrder
from tests.facade import scripts
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService, Refusal
from tests.support.replies import CheckedAsyncTransport


async def test_a_page_of_input_items(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.page = ListInputItemsResponse(data=[scripts.message("Hi")], first_id="a", last_id="b", has_more=True)
    query = "limit=2&order=asc&after=msg_0&include[]=message.output_text.logprobs&id=other&more=1"
    async with http.get(f"{url}/v1/responses/resp_1/input_items?{query}") as reply:
        body = await reply.json()
    assert [item["type"] for item in body.pop("data")] == ["message"]
    assert body == {"object": "list", "first_id": "a", "last_id": "b", "has_more": True}
    [asked] = service.requests
    assert (asked.id, asked.limit, asked.order, asked.after) == ("resp_1", 2, ListOrder.LIST_ORDER_ASC, "msg_0")
    assert list(asked.include) == [1]


async def test_an_empty_page_has_no_ends(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/v1/responses/resp_1/input_items") as reply:
        nothing: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
        assert await reply.json() == nothing


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=two", "limit", "invalid_type"),
        ("limit=", "limit", "invalid_type"),
        ("limit=1.5", "limit", "invalid_type"),
        ("limit=9999999999", "limit", "invalid_value"),
        ("order=up", "order", "invalid_value"),
        ("include=all", "include[0]", "invalid_value"),
    ],
)
async def test_a_query_of_the_wrong_form_is_refused(
    query: str, param: str, code: str, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{url}/v1/responses/resp_1/input_items?{query}") as reply:
        error = await error_of(reply)
        assert (reply.status, error["param"], error["code"]) == (400, param, code)


async def test_the_sdk_reads_page_after_page(service: FakeService, url: str) -> None:
    service.page = ListInputItemsResponse(data=[scripts.message("Hi")], last_id=scripts.ITEM_ID, has_more=True)
    http_client = httpx2.AsyncClient(transport=CheckedAsyncTransport())
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, http_client=http_client) as client:
        seen = []
        async for item in client.responses.input_items.list("resp_1", limit=1):
            seen.append(item.id)
            service.page.has_more = False  # on the page after this one
    assert seen == [scripts.ITEM_ID] * 2
    assert [request.after for request in service.requests] == ["", scripts.ITEM_ID]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"input": "hi", "instructions": "be brief", "model": None}, {"instructions": "be brief"}),
        ({"messages": "hi", "truncate_sequence": True, "reasoning_effort": "low"}, {"truncation": 1}),
        ({"input": "hi", "tools": [{"type": "function", "name": "f"}], "tool_choice": "none"}, {}),
    ],
)
async def test_tokens_are_counted(
    body: dict[str, Any], fields: dict[str, Any], service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{url}/v1/responses/input_tokens", json=body) as reply:
        assert await reply.json() == {"object": "response.input_tokens", "input_tokens": 7}
    [asked] = service.requests
    assert asked.input.text == "hi"
    assert {name: getattr(asked, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": "hi", "temperature": 1}, "temperature", "unknown_parameter"),
        ({"input": "hi", "n": 2}, "n", "unknown_parameter"),
        ({"input": "hi", "stream": True}, "stream", "unknown_parameter"),
        ({"input": "hi", "conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"input": 7}, "input", "invalid_type"),
        ({"input": "hi", "messages": "ho"}, "messages", "invalid_value"),
    ],
)
async def test_a_request_for_a_count_of_the_wrong_form_is_refused(
    body: dict[str, Any], param: str, code: str, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{url}/v1/responses/input_tokens", json=body) as reply:
        error = await error_of(reply)
        assert (reply.status, error["param"], error["code"]) == (400, param, code)


async def test_a_refusal_names_the_key_that_the_client_sent(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.refusal = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", violations=(("input[0]", "no"),))
    async with http.post(f"{url}/v1/responses/input_tokens", json={"messages": "hi"}) as reply:
        assert (await error_of(reply))["param"] == "messages[0]"


async def test_the_sdk_counts(url: str) -> None:
    http_client = httpx2.AsyncClient(transport=CheckedAsyncTransport())
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, http_client=http_client) as client:
        assert (await client.responses.input_tokens.count(model="tiny", input="hi")).input_tokens == 7
