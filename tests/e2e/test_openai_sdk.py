"""OpenAI's own Python SDK, pointed at this server: what its users do works as they know it."""

from __future__ import annotations

from functools import partial

import openai
import pytest

MODEL = "SmolLM2-135M-Instruct"
# What the model says to it is right, and short.
CAPITAL = "Answer with one word: what is the capital of France?"


def test_a_response_is_created_retrieved_and_deleted(sdk: openai.OpenAI) -> None:
    made = sdk.responses.create(model=MODEL, input=CAPITAL, temperature=0, max_output_tokens=32)
    assert made.status == "completed"
    assert "Paris" in made.output_text
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert sdk.responses.retrieve(made.id) == made
    sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=made.id):
        sdk.responses.retrieve(made.id)


def test_a_stream_of_raw_events_tells_the_text_that_is_stored_at_its_end(sdk: openai.OpenAI) -> None:
    text, last = "", ""
    with sdk.responses.create(model=MODEL, input="Hello!", max_output_tokens=16, stream=True) as stream:
        for event in stream:
            last = event.type
            if event.type == "response.created":
                response_id = event.response.id
            elif event.type == "response.output_text.delta":
                text += event.delta
    assert last in ("response.completed", "response.incomplete")
    assert text
    assert sdk.responses.retrieve(response_id).output_text == text


def test_the_stream_helper_gives_the_final_response(sdk: openai.OpenAI) -> None:
    with sdk.responses.stream(model=MODEL, input=CAPITAL, temperature=0, max_output_tokens=32) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.status == "completed"
    assert final.output_text == text


def test_a_token_budget_that_is_used_up_is_incomplete_and_says_why(sdk: openai.OpenAI) -> None:
    made = sdk.responses.create(model=MODEL, input="Write a long story.", max_output_tokens=16, temperature=0)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert made.usage is not None
    assert made.usage.output_tokens == 16


def test_a_continued_response_knows_what_was_said_and_reuses_what_was_computed(sdk: openai.OpenAI) -> None:
    """It is answered as the same conversation is that comes as a whole."""
    create = partial(sdk.responses.create, model=MODEL, temperature=0, max_output_tokens=32)
    name, question = "My name is Zebulon. Say hello.", "What is my name?"
    first = create(input=name)
    second = create(input=question, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    said = [{"role": "user", "content": name}, *first.output, {"role": "user", "content": question}]
    assert create(input=said).output_text == second.output_text != create(input=question).output_text
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.total_tokens
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens


def test_deleting_a_parent_leaves_its_children_working(sdk: openai.OpenAI) -> None:
    first = sdk.responses.create(model=MODEL, input="My name is Zebulon.", max_output_tokens=4)
    second = sdk.responses.create(model=MODEL, input="Thanks.", previous_response_id=first.id, max_output_tokens=4)
    before = sdk.responses.input_tokens.count(model=MODEL, input="Who am I?", previous_response_id=second.id)
    sdk.responses.delete(first.id)
    assert sdk.responses.retrieve(second.id).output == second.output
    third = sdk.responses.create(model=MODEL, input="Who am I?", previous_response_id=second.id, max_output_tokens=4)
    assert third.usage is not None
    assert third.usage.input_tokens == before.input_tokens
    with pytest.raises(openai.BadRequestError, match="not found"):
        sdk.responses.create(model=MODEL, input="Hello?", previous_response_id=first.id)


def test_instructions_come_before_the_input_and_are_echoed(sdk: openai.OpenAI) -> None:
    plain = sdk.responses.create(model=MODEL, input="Hello!", temperature=0, max_output_tokens=16)
    told = sdk.responses.create(
        model=MODEL, input="Hello!", instructions="You are a pirate. Say Arr.", temperature=0, max_output_tokens=16
    )
    assert told.instructions == "You are a pirate. Say Arr."
    assert told.output_text != plain.output_text


def test_the_served_model_is_listed_and_can_be_got_by_name_and_as_default(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == [MODEL]
    assert sdk.models.retrieve(MODEL).id == sdk.models.retrieve("default").id == MODEL
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("gpt-4o")


def test_a_refused_request_is_the_exception_of_its_status_with_code_and_param(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model=MODEL, input="Hello!", temperature=3)
    assert (refused.value.code, refused.value.param) == ("invalid_value", "temperature")
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.responses.create(model="gpt-4o", input="Hello!")
    assert unknown.value.code == "model_not_found"


def test_a_response_in_the_background_is_followed_from_any_event_on(sdk: openai.OpenAI) -> None:
    text, seen = "", 0
    with sdk.responses.create(
        model=MODEL, input="Hello!", max_output_tokens=16, stream=True, background=True
    ) as stream:
        for event in stream:
            seen = event.sequence_number
            if event.type == "response.created":
                assert event.response.status == "queued"
                response_id = event.response.id
            elif event.type == "response.output_text.delta":
                text += event.delta
                break
    with sdk.responses.retrieve(response_id, stream=True, starting_after=seen) as rest:
        for event in rest:
            seen += 1
            assert event.sequence_number == seen
            text += event.delta if event.type == "response.output_text.delta" else ""
    assert event.type in ("response.completed", "response.incomplete")
    ended = sdk.responses.retrieve(response_id)
    assert (ended.output_text, ended.background) == (text, True)
    assert sdk.responses.cancel(response_id) == ended


def test_a_response_in_the_background_is_cancelled(sdk: openai.OpenAI) -> None:
    made = sdk.responses.create(model=MODEL, input="Write a very long story.", max_output_tokens=2000, background=True)
    assert made.status in ("queued", "in_progress")
    assert sdk.responses.cancel(made.id).status == "cancelled"
    assert sdk.responses.retrieve(made.id).status == "cancelled"
    foreground = sdk.responses.create(model=MODEL, input="Hello!", max_output_tokens=1)
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        sdk.responses.cancel(foreground.id)


async def test_the_async_client_does_the_same(async_sdk: openai.AsyncOpenAI) -> None:
    async with async_sdk.responses.stream(model=MODEL, input=CAPITAL, temperature=0, max_output_tokens=32) as stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        first = await stream.get_final_response()
    second = await async_sdk.responses.create(
        model=MODEL, input="Say it again.", previous_response_id=first.id, max_output_tokens=16
    )
    assert first.output_text == text
    assert (await async_sdk.responses.retrieve(second.id)).output_text == second.output_text
    for response in (second, first):
        await async_sdk.responses.delete(response.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        await async_sdk.responses.create(model=MODEL, input="Again.", previous_response_id=first.id)
