"""The SDK's `responses.parse`: pydantic models out of the real model, whatever it thinks."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Annotated, Literal

import openai
import pytest
from pydantic import BaseModel, Field

MODEL = "SmolLM2-135M-Instruct"
ROOM = 250


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[Literal["sit", "roll"]] = Field(max_length=2)


class Person(BaseModel):
    """What pydantic makes of it has references, descriptions, alternatives, formats and bounds; no answer is long."""

    name: str = Field(description="first name", max_length=20)
    born: date | None
    mood: Mood
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    lucky: list[Annotated[int, Field(ge=0, le=99)]] = Field(min_length=1, max_length=3)


class Answer(BaseModel):
    final_answer: int


QUESTION = "Ada was born on 1990-05-17. She is happy and has a cat. Her lucky number is 7."


@pytest.mark.parametrize("temperature", [0, 1, 2])
def test_parse_gives_a_model(sdk: openai.OpenAI, temperature: float) -> None:
    for _ in range(2):
        made = sdk.responses.parse(
            model=MODEL, input=QUESTION, text_format=Person, temperature=temperature, max_output_tokens=ROOM
        )
        assert made.status == "completed"
        assert isinstance(made.output_parsed, Person)


def test_parse_finds_what_the_input_says(sdk: openai.OpenAI) -> None:
    made = sdk.responses.parse(model=MODEL, input="What is 2 + 3?", text_format=Answer, temperature=0)
    assert made.output_parsed == Answer(final_answer=5)


def test_a_stream_gives_the_model_at_its_end(sdk: openai.OpenAI) -> None:
    with sdk.responses.stream(
        model=MODEL, input=QUESTION, text_format=Person, temperature=0, max_output_tokens=ROOM
    ) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.output_parsed == Person.model_validate_json(text)


async def test_the_async_client_does_the_same(async_sdk: openai.AsyncOpenAI) -> None:
    made = await async_sdk.responses.parse(
        model=MODEL, input=QUESTION, text_format=Person, temperature=0, max_output_tokens=ROOM
    )
    async with async_sdk.responses.stream(
        model=MODEL, input=QUESTION, text_format=Person, temperature=0, max_output_tokens=ROOM
    ) as stream:
        final = await stream.get_final_response()
    assert final.output_parsed == made.output_parsed is not None


def test_what_no_answer_can_be_held_to_is_refused(sdk: openai.OpenAI) -> None:
    class Bag(BaseModel):
        items: set[int]

    with pytest.raises(openai.BadRequestError, match="uniqueItems") as refused:
        sdk.responses.parse(model=MODEL, input="hi", text_format=Bag)
    assert refused.value.param == "text.format.schema"
