"""OpenAI's own client, sync and async, pointed here."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.facade import scripts
from tests.facade.fake_service import FakeService, Refusal
from tests.support.replies import CheckedAsyncTransport, CheckedTransport


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncOpenAI]:
    http_client = httpx2.AsyncClient(transport=CheckedAsyncTransport())
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0, http_client=http_client) as made:
        yield made


async def test_it_creates(service: FakeService, client: AsyncOpenAI) -> None:
    service.script = scripts.text("Hel", "lo")
    response = await client.responses.create(model="tiny", input="hi")
    assert (response.output_text, response.status, response._request_id) == (
        "Hello",
        "completed",
        service.metadata[0]["x-request-id"],
    )
    assert service.metadata[0]["authorization"] == "Bearer sk-test"


async def test_it_iterates_over_events(service: FakeService, client: AsyncOpenAI) -> None:
    service.script = scripts.text("Hel", "lo")
    stream = await client.responses.create(model="tiny", input="hi", stream=True)
    kinds = [event.type async for event in stream]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") == 2


async def test_its_own_accumulator_agrees(service: FakeService, client: AsyncOpenAI) -> None:
    service.script = scripts.text("Hel", "lo")
    async with client.responses.stream(model="tiny", input="hi") as stream:
        async for _ in stream:
            pass
        assert (await stream.get_final_response()).output_text == "Hello"


async def test_it_accumulates_a_function_call(service: FakeService, client: AsyncOpenAI) -> None:
    service.script = scripts.function_call('{"city":', '"Rome"}')
    async with client.responses.stream(model="tiny", input="hi") as stream:
        final = await stream.get_final_response()
    call = final.output[0]
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Rome"}')


async def test_it_retrieves_and_deletes(service: FakeService, client: AsyncOpenAI) -> None:
    service.responses["resp_1"] = scripts.completed([scripts.message("Hello")])
    assert (await client.responses.retrieve("resp_1")).output_text == "Hello"
    await client.responses.delete("resp_1")
    with pytest.raises(openai.NotFoundError, match="Response with ID 'resp_1' not found"):
        await client.responses.retrieve("resp_1")


async def test_it_sends_an_answer_back_in(service: FakeService, client: AsyncOpenAI) -> None:
    service.script = scripts.text("Hello")
    first = await client.responses.create(model="tiny", input="hi")
    service.script = scripts.text("Again")
    window = [item.model_dump() for item in first.output]
    await client.responses.create(model="tiny", input=[*window, {"role": "user", "content": "more"}])  # type: ignore[list-item]
    items = service.requests[1].input.items.items
    assert items[0].message.content[0].output_text.text == "Hello"
    assert items[1].message.content[0].input_text.text == "more"


async def test_a_failure_in_the_stream_raises_in_the_client(service: FakeService, client: AsyncOpenAI) -> None:
    service.script = scripts.failed("model_error", "Hel")
    stream = await client.responses.create(model="tiny", input="hi", stream=True)
    with pytest.raises(openai.APIError, match=r"It broke\."):
        async for _ in stream:
            pass


@pytest.mark.parametrize(
    ("reason", "raised"),
    [
        ("INVALID_VALUE", openai.BadRequestError),
        ("INVALID_API_KEY", openai.AuthenticationError),
        ("MODEL_NOT_FOUND", openai.NotFoundError),
        ("RATE_LIMIT_EXCEEDED", openai.RateLimitError),
        ("MODEL_ERROR", openai.InternalServerError),
    ],
)
async def test_a_refusal_raises_the_clients_own_error(
    reason: str, raised: type[openai.APIStatusError], service: FakeService, client: AsyncOpenAI
) -> None:
    service.script = [Refusal(grpc.StatusCode.UNKNOWN, reason, "No.", (("model", "No."),))]
    with pytest.raises(raised) as caught:
        await client.responses.create(model="tiny", input="hi")
    assert (caught.value.param, caught.value.request_id) == ("model", service.metadata[0]["x-request-id"])


async def test_a_permanent_failure_is_not_repeated(service: FakeService, client: AsyncOpenAI) -> None:
    service.script = [Refusal(grpc.StatusCode.INTERNAL, "MODEL_ERROR", "No.")]
    with pytest.raises(openai.InternalServerError):
        await client.with_options(max_retries=2).responses.create(model="tiny", input="hi")
    assert len(service.requests) == 1


async def test_it_lists_models(service: FakeService, client: AsyncOpenAI) -> None:
    from answerd.v1.model_pb2 import Model

    service.models = [Model(id="tiny", created=1, owned_by="o", context_length=9)]
    assert [model.id async for model in client.models.list()] == ["tiny"]
    assert (await client.models.retrieve("tiny")).owned_by == "o"


async def test_the_blocking_client_does_the_same(service: FakeService, url: str) -> None:
    service.script = scripts.text("Hel", "lo")
    service.responses["resp_1"] = scripts.completed([scripts.message("Hello")])

    def use() -> tuple[str, list[str], str]:
        http_client = httpx2.Client(transport=CheckedTransport())
        with OpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0, http_client=http_client) as client:
            created = client.responses.create(model="tiny", input="hi").output_text
            kinds = [str(event.type) for event in client.responses.create(model="tiny", input="hi", stream=True)]
            retrieved = client.responses.retrieve("resp_1").output_text
            client.responses.delete("resp_1")
            return created, kinds, retrieved

    created, kinds, retrieved = await asyncio.to_thread(use)
    assert (created, retrieved) == ("Hello", "Hello")
    assert kinds[-1] == "response.completed"
    assert service.responses == {}
