"""Answers that keep to a format or a grammar, over gRPC, from a model that has learned nothing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from answerd.v1.grammar_pb2 import Grammar, GrammarType
from answerd.v1.item_pb2 import ItemStatus
from answerd.v1.response_pb2 import IncompleteReason, Response, ResponseStatus
from answerd.v1.text_pb2 import JsonObjectFormat, JsonSchemaFormat, TextConfig, TextFormat
from tests.service.scripted_model import encode
from tests.service.served import Served, refusal, serving, text_of

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}, "age": {"type": "integer", "minimum": 0, "maximum": 30}},
    "required": ["kind", "age"],
    "additionalProperties": False,
}
LISTED = re.compile(r"\{\"kind\": \"(cat|dog)\", \"age\": ([12]?[0-9]|30)\}")
VAGUE = {"type": "array", "items": {"enum": [1]}, "maxItems": 2, "uniqueItems": True}


@pytest.fixture
async def whimsical(tmp_path: Path) -> AsyncIterator[Served]:
    """A server whose model has an opinion on every token."""
    async with serving(tmp_path, {}, reply=lambda prompt: None) as served:
        yield served


def schema(value: object, *, strict: bool | None = True) -> dict[str, Any]:
    format = JsonSchemaFormat(name="answer", schema=value if isinstance(value, str) else json.dumps(value))
    if strict is not None:
        format.strict = strict
    return {"text": TextConfig(format=TextFormat(json_schema=format))}


def grammar(kind: str, value: str) -> dict[str, Any]:
    return {"grammar": Grammar(type=GrammarType.Value(f"GRAMMAR_TYPE_{kind}"), value=value)}


def texts(response: Response) -> list[str]:
    return [item.message.content[0].output_text.text for item in response.output]


FORMS: list[tuple[dict[str, Any], str]] = [
    (schema(SCHEMA), LISTED.pattern),
    (schema(SCHEMA, strict=False), LISTED.pattern),
    (schema(SCHEMA, strict=None), LISTED.pattern),
    (grammar("JSON_SCHEMA", json.dumps(SCHEMA)), LISTED.pattern),
    (grammar("REGEX", "[0-9]{3}-[a-f]{2}"), "[0-9]{3}-[a-f]{2}"),
    (grammar("LARK", 'start: "(" start ")" | "x"'), r"\(*x\)*"),
    (grammar("LLGUIDANCE", '{"grammars": [{"lark_grammar": "start: \\"yes\\" | \\"no\\""}]}'), "yes|no"),
]


@pytest.mark.parametrize(("fields", "pattern"), FORMS, ids=lambda given: given if isinstance(given, str) else "")
async def test_every_answer_keeps_to_what_was_asked_for(
    whimsical: Served, fields: dict[str, Any], pattern: str
) -> None:
    for seed in range(9):
        response = await whimsical.answer("hi", temperature=seed % 3, seed=seed, **fields)
        assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
        assert re.fullmatch(pattern, text_of(response))


async def test_json_may_be_asked_for_without_a_schema(whimsical: Served) -> None:
    fields = {"text": TextConfig(format=TextFormat(json_object=JsonObjectFormat()))}
    response = await whimsical.answer("hi", seed=1, logit_bias={encode("}")[0]: 4, encode('"')[0]: 4}, **fields)
    assert isinstance(json.loads(text_of(response)), dict)


async def test_each_choice_has_its_own_place_in_the_grammar(whimsical: Served) -> None:
    response = await whimsical.answer("hi", n_choices=6, seed=1, **schema(SCHEMA))
    assert [text for text in texts(response) if not LISTED.fullmatch(text)] == []
    assert len(set(texts(response))) > 1


async def test_an_answer_that_its_budget_cuts_off_is_incomplete(whimsical: Served) -> None:
    response = await whimsical.answer("hi", max_output_tokens=4, **schema(SCHEMA))
    assert response.status == ResponseStatus.RESPONSE_STATUS_INCOMPLETE
    assert response.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_MAX_OUTPUT_TOKENS
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    assert '{"kind": "'.startswith(text_of(response))


@pytest.mark.parametrize(
    "parameters",
    [
        {"logit_bias": dict.fromkeys(range(1, 260), -100.0)},
        {"logit_bias": {encode("z")[0]: 100.0}},
        {"repetition_penalty": 1e300},
        {"repetition_penalty": 1e-300},
        {"presence_penalty": 2, "frequency_penalty": 2},
        {"dry_multiplier": 1e300, "dry_base": 1e300, "dry_allowed_length": 0},
        {"top_k": 1, "top_p": 0.01, "min_p": 1},
        {"logprobs": True, "top_logprobs": 20},
    ],
    ids=str,
)
async def test_no_parameter_leads_out_of_the_grammar(whimsical: Served, parameters: dict[str, Any]) -> None:
    for temperature in (0, 2):
        response = await whimsical.answer("hi", temperature=temperature, **parameters, **schema(SCHEMA))
        assert LISTED.fullmatch(text_of(response)), response


async def test_log_probabilities_are_those_of_the_model_without_the_grammar(whimsical: Served) -> None:
    response = await whimsical.answer("hi", temperature=0, top_logprobs=1, **grammar("REGEX", "z"))
    [logprob] = response.output[0].message.content[0].output_text.logprobs
    free = await whimsical.answer("hi", temperature=0, top_logprobs=1, max_output_tokens=1)
    [other] = free.output[0].message.content[0].output_text.logprobs
    assert logprob.token == "z"
    assert logprob.logprob < other.logprob < 0
    assert logprob.top_logprobs == other.top_logprobs


async def test_what_a_schema_cannot_promise_is_refused_only_if_it_is_strict(whimsical: Served) -> None:
    fault = await refusal(whimsical.create("hi", **schema(VAGUE)))
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert fault.message == """'text.format.schema' cannot be enforced: Unimplemented keys: ["uniqueItems"]"""
    assert text_of(await whimsical.answer("hi", **schema(VAGUE, strict=False))) in ("[]", "[1]", "[1, 1]")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (schema({"type": "nosuch"}, strict=False), "'text.format.schema' cannot be enforced: Invalid type: nosuch"),
        (grammar("REGEX", "[0-9"), "'grammar.value' cannot be enforced: "),
        (grammar("LARK", "start: nothing"), "'grammar.value' cannot be enforced: "),
        (grammar("JSON_SCHEMA", "7"), "'grammar.value' cannot be enforced: It is not a JSON object."),
        (grammar("LLGUIDANCE", "{"), "'grammar.value' cannot be enforced: It is not JSON"),
        (grammar("REGEX", "a" * (2**18 + 1)), "'grammar.value' must have at most 262144 characters"),
        (schema('{"a": "' + "a" * 2**18 + '"}'), "'text.format.schema' must have at most 262144 characters"),
    ],
    ids=lambda given: None if isinstance(given, dict) else given,
)
async def test_what_cannot_be_compiled_is_refused_by_name(
    whimsical: Served, fields: dict[str, Any], message: str
) -> None:
    fault = await refusal(whimsical.create("hi", **fields))
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert fault.message.startswith(message)
    assert (await whimsical.store.counts()).records == 0
    assert whimsical.model.engine.stats.steps == 0


async def test_a_hostile_grammar_holds_up_no_other_answer(whimsical: Served) -> None:
    """It takes two seconds of computing to refuse this one."""
    hostile = asyncio.create_task(
        refusal(whimsical.create("hi", **schema({"type": "integer", "multipleOf": 99999999})))
    )
    for _ in range(3):
        await whimsical.answer("hi", max_output_tokens=3)
    assert not hostile.done()
    assert "It takes too long to compile." in (await hostile).message
    assert text_of(await whimsical.answer("hi", **grammar("REGEX", "a"))) == "a"
