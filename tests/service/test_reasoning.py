"""Thoughts of a model over gRPC: items and events of their own, counted, and told apart from the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from answerd.v1.grammar_pb2 import Grammar, GrammarType
from answerd.v1.item_pb2 import ItemStatus
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.stored_response_pb2 import GetResponseRequest
from answerd.v1.text_pb2 import JsonSchemaFormat, TextConfig, TextFormat
from tests.service.scripted_model import CHATML, WAIT, encode
from tests.service.served import Served, final, names, serving, text_of

THOUGHT = "<think>\nThey greet me.\n</think>"
ANSWERS = {"hi": f"{THOUGHT}\n\nHello!", "plain": "Hello!", "silent": THOUGHT}


@pytest.fixture
async def thinking(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, ANSWERS) as served:
        yield served


def thoughts_of(response: Response) -> list[str]:
    parts = [part for item in response.output for part in item.reasoning.content]
    return [part.reasoning_text.text for part in parts]


def kinds_of(response: Response) -> list[str]:
    return [item.WhichOneof("type") or "" for item in response.output]


async def test_a_thought_comes_before_the_message_with_its_own_events(thinking: Served) -> None:
    events = [event async for event in thinking.create("hi")]
    kinds = list(dict.fromkeys(names(events)))
    assert kinds == [
        *("created", "in_progress", "output_item_added", "content_part_added", "reasoning_text_delta"),
        *("reasoning_text_done", "content_part_done", "output_item_done", "output_text_delta", "output_text_done"),
        "completed",
    ]
    response = final(events)
    assert (thoughts_of(response), text_of(response)) == (["They greet me."], "Hello!")
    assert kinds_of(response) == ["reasoning", "message"]
    assert response.output[0].reasoning.id.startswith("rs_")
    stored = await thinking.stub.GetResponse(GetResponseRequest(id=response.id), timeout=WAIT)
    assert stored == response


async def test_the_tokens_of_a_thought_are_counted(thinking: Served) -> None:
    usage = (await thinking.answer("hi")).usage
    assert usage.output_tokens_details.reasoning_tokens == len(encode(THOUGHT))
    assert usage.output_tokens == len(encode(ANSWERS["hi"])) + 1
    assert (await thinking.answer("plain")).usage.output_tokens_details.reasoning_tokens == 0


async def test_log_probabilities_are_those_of_the_answer_alone(thinking: Served) -> None:
    response = await thinking.answer("hi", logprobs=True)
    assert b"".join(each.bytes for each in response.output[1].message.content[0].output_text.logprobs) == b"Hello!"


async def test_a_budget_that_ends_within_a_thought_leaves_it_incomplete(thinking: Served) -> None:
    response = await thinking.answer("hi", max_output_tokens=len(encode("<think>\nThey")))
    assert response.status == ResponseStatus.RESPONSE_STATUS_INCOMPLETE
    assert thoughts_of(response) == ["They"]
    assert kinds_of(response) == ["reasoning"]
    assert response.output[0].reasoning.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    assert response.usage.output_tokens_details.reasoning_tokens == response.usage.output_tokens


async def test_a_model_that_only_thinks_says_nothing(thinking: Served) -> None:
    response = await thinking.answer("silent")
    assert kinds_of(response) == ["reasoning", "message"]
    assert text_of(response) == ""


async def test_each_of_several_choices_thinks_before_its_own_message(thinking: Served) -> None:
    events = [event async for event in thinking.create("hi", n_choices=3)]
    response = final(events)
    assert kinds_of(response) == ["reasoning", "message"] * 3
    assert thoughts_of(response) == ["They greet me."] * 3
    added = [event.output_item_added for event in events if event.HasField("output_item_added")]
    assert [each.output_index for each in added] == list(range(6))
    usage = response.usage
    assert usage.output_tokens_details.reasoning_tokens == 3 * len(encode(THOUGHT))


async def test_the_first_choice_and_its_thought_are_the_history(thinking: Served) -> None:
    several = await thinking.answer("hi", n_choices=2)
    alone = await thinking.answer("hi")
    after_several = await thinking.answer("plain", previous_response_id=several.id)
    after_one = await thinking.answer("plain", previous_response_id=alone.id)
    assert after_several.usage.input_tokens == after_one.usage.input_tokens


# As Qwen3's template does it: the switch closes the thought in the prompt, and thoughts of earlier turns are left out.
SWITCHED = CHATML.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% if reasoning_effort %}[{{ reasoning_effort }}]{% endif %}{% endif %}",
)
BEGUN = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
KEPT = CHATML.replace("{{ message.content }}", "{{ message.reasoning_content }}{{ message.content }}")


async def last_prompt(folder: Path, **fields: Any) -> str:
    async with serving(folder, {}, template=SWITCHED) as served:
        await served.answer("hi", **fields)
        return served.script.prompts[-1].rpartition("assistant\n")[2]


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({}, ""),
        ({"enable_thinking": True}, ""),
        ({"enable_thinking": False}, "<think>\n\n</think>\n\n"),
        ({"reasoning": {"effort": "REASONING_EFFORT_NONE"}}, "<think>\n\n</think>\n\n"),
        ({"reasoning": {"effort": "REASONING_EFFORT_HIGH"}}, "[high]"),
    ],
)
async def test_effort_and_switch_reach_the_template(tmp_path: Path, fields: dict[str, Any], prompt: str) -> None:
    assert await last_prompt(tmp_path, **fields) == prompt


async def test_a_prompt_may_begin_the_thought(tmp_path: Path) -> None:
    async with serving(tmp_path, {"hi": "They greet me.\n</think>\n\nHello!"}, template=BEGUN) as served:
        response = await served.answer("hi")
    assert (thoughts_of(response), text_of(response)) == (["They greet me."], "Hello!")
    assert response.usage.output_tokens_details.reasoning_tokens == len(encode("They greet me.\n</think>"))


@pytest.mark.parametrize(("template", "read"), [(KEPT, True), (CHATML, False)])
async def test_the_template_decides_whether_earlier_thoughts_are_read(
    tmp_path: Path, template: str, read: bool
) -> None:
    async with serving(tmp_path, ANSWERS, template=template) as served:
        first = await served.answer("hi")
        await served.answer("plain", previous_response_id=first.id)
    assert ("They greet me." in served.script.prompts[-1]) == read


YES = TextConfig(format=TextFormat(json_schema=JsonSchemaFormat(name="a", schema='{"enum": ["yes"]}', strict=True)))


@pytest.mark.parametrize("begun", [True, False])
async def test_a_form_is_that_of_what_follows_the_thought(tmp_path: Path, begun: bool) -> None:
    said = ANSWERS["hi"].removeprefix("<think>\n" * begun)
    async with serving(tmp_path, {"hi": said}, template=BEGUN if begun else SWITCHED + "{# <think> #}") as served:
        response = await served.answer("hi", text=YES)
    assert (thoughts_of(response), text_of(response)) == (["They greet me."], '"yes"')


@pytest.mark.parametrize(
    ("regex", "thoughts", "text"), [("[0-9]{2}", [], "00"), ("hm</think>[0-9]{2}", ["hm"], "00")], ids=["whole", "both"]
)
async def test_a_grammar_is_that_of_all_that_is_said(
    tmp_path: Path, regex: str, thoughts: list[str], text: str
) -> None:
    """It need not end a thought that the prompt began: then there is none."""
    grammar = Grammar(type=GrammarType.GRAMMAR_TYPE_REGEX, value=regex)
    async with serving(tmp_path, ANSWERS, template=BEGUN) as served:
        response = await served.answer("hi", grammar=grammar, temperature=0)
    assert (thoughts_of(response), text_of(response)) == (thoughts, text)
