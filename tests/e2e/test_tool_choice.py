"""Under `auto` the real model calls the tool that a question needs, and mostly lets be what needs none.

On the half of the questions that nothing was tuned with.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.e2e.api import Api
from tests.support.tool_questions import Question, Tally, called, questions, tally

ROOM = 64  # tokens: a call that words lead to mostly comes by then
OFFER = 6  # questions about the same tools follow each other
EVERY = 5  # of so many offers one is asked about in the bounded part


def asked(api: Api, chosen: Sequence[Question], room: int) -> Tally:
    """The questions over HTTP, one after the other, with `tool_choice` left out."""
    answers = [
        api.create(input=question.text, tools=list(question.tools), max_output_tokens=room) for question in chosen
    ]
    return tally(list(zip(chosen, map(called, answers), strict=True)))


def test_a_part_of_the_held_back_questions_is_answered_as_promised(api: Api) -> None:
    chosen = [each for number, each in enumerate(questions("held_back")) if number // OFFER % EVERY == 0]
    found = asked(api, chosen, room=24)
    assert len(chosen) == 24
    assert found.is_as_promised, found


@pytest.mark.slow
def test_the_held_back_questions_are_answered_as_promised(api: Api) -> None:
    found = asked(api, questions("held_back"), ROOM)
    assert found.is_as_promised, found


def test_the_output_of_a_call_is_answered_with_words(api: Api) -> None:
    """The model would rather repeat the call; the choice of tools is left to `auto` all the same."""
    question = next(each for each in questions("tuning") if each.call == "get_time")
    first = api.create(input=question.text, tools=list(question.tools), max_output_tokens=ROOM, max_tool_calls=1)
    [call] = first["output"]
    assert (call["type"], call["name"]) == ("function_call", "get_time")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "14:05"}
    second = api.create(
        input=[output], previous_response_id=first["id"], tools=list(question.tools), max_output_tokens=ROOM
    )
    assert not called(second)
    assert second["output_text"]
