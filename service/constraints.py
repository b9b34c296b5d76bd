"""What a request says that its answer must keep to: as a grammar, and as constraints of a model. Knows no engine."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.grammar_pb2 import GrammarType
from inference.after_tag import AfterTag
from inference.call_choice import THRESHOLD, CallChoice
from inference.constraint import Constraint
from inference.grammar.definition import json_rule
from inference.grammar.errors import GrammarError
from inference.grammar.grammar import ANY_OBJECT, Grammar, GrammarKind
from service.errors import ServiceError, invalid_value
from service.models.served import ServedModel
from service.output.parser import CALL, THINK, THOUGHT
from service.tools import grammar as of_tools
from service.tools.calling import Calling, arguments_schema, calling_of

KINDS: Mapping[int, GrammarKind] = {
    GrammarType.GRAMMAR_TYPE_REGEX: GrammarKind.REGEX,
    GrammarType.GRAMMAR_TYPE_LARK: GrammarKind.LARK,
    GrammarType.GRAMMAR_TYPE_JSON_SCHEMA: GrammarKind.JSON_SCHEMA,
    GrammarType.GRAMMAR_TYPE_LLGUIDANCE: GrammarKind.LLGUIDANCE,
}

NONE: Container[int] = ()


@dataclass(frozen=True)
class Form:
    """What the text has to be, as a schema, and where that stands in the request."""

    grammar: Grammar
    path: str

    def rule(self, *, lenient: bool) -> str:
        """The right side of a Lark rule. Raises GrammarError."""
        return json_rule(self.grammar.text, lenient=lenient and self.grammar.lenient)


async def constraints_of(
    request: CreateResponseRequest,
    model: ServedModel,
    answers: int,
    *,
    in_thought: bool = False,
    after_output: bool = False,
) -> Sequence[Constraint | None]:
    """For each answer to a validated request what it must keep to, or None. in_thought: the answer begins within one.
    after_output: it follows the output of a call.

    Raises InvalidRequest for a grammar that cannot be compiled.
    """
    before = of_tools.NOTHING
    if model.thinks:
        before = of_tools.BEGUN_THOUGHT if in_thought else of_tools.MAYBE_THOUGHT
    calling = calling_of(request)
    if calling is not None:
        threshold = math.inf if after_output else THRESHOLD
        return await _of_calls(calling, _form(request), model, before, threshold, in_thought=in_thought)
    form = _form(request)
    if form is not None and before:
        return await _of_form_after_thought(form, model, before, answers)
    if form is not None:
        return await compiled(form.grammar, form.path, model, answers)
    if request.HasField("grammar"):
        grammar = Grammar(KINDS[request.grammar.type], request.grammar.value)
        return await compiled(grammar, "grammar.value", model, answers)
    return [None] * answers


async def compiled(grammar: Grammar, path: str, model: ServedModel, answers: int) -> Sequence[Constraint]:
    """A constraint for each answer. path: where the grammar stands in the request, for the InvalidRequest that is
    raised if it cannot be compiled."""
    try:
        return await model.grammars.constraints(grammar, answers)
    except GrammarError as error:
        raise _refusal(path, error) from None


def _form(request: CreateResponseRequest) -> Form | None:
    match request.text.format.WhichOneof("type"):
        case "json_object":
            return Form(ANY_OBJECT, "text.format")
        case "json_schema":
            format = request.text.format.json_schema
            schema = Grammar(GrammarKind.JSON_SCHEMA, format.schema, lenient=not format.strict)
            return Form(schema, "text.format.schema")
    return None


async def _of_form_after_thought(form: Form, model: ServedModel, before: str, answers: int) -> Sequence[Constraint]:
    try:
        return await model.grammars.constraints(of_tools.thought_then(before, form.rule(lenient=False)), answers)
    except GrammarError:
        await compiled(form.grammar, form.path, model, 1)
        return await compiled(of_tools.thought_then(before, form.rule(lenient=True)), form.path, model, answers)


async def _of_calls(
    calling: Calling, form: Form | None, model: ServedModel, before: str, threshold: float, *, in_thought: bool
) -> Sequence[Constraint]:
    """A schema that is not strict, of a tool that need not be called, is enforced as far as that is possible.
    threshold: of the choice between a call and words, for a model that is not used to make it."""
    lenient = NONE

    def language(lenient: Container[int]) -> Grammar:
        if calling.must:
            return of_tools.calls_only(calling, before, lenient)
        if form is not None:
            return of_tools.calls_or_json(calling, before, lenient, form.rule(lenient=lenient is not NONE))
        return of_tools.calls_after_tag(calling, lenient)

    try:
        constraints = await model.grammars.constraints(language(NONE), 1)
    except GrammarError:
        lenient = await _not_enforceable(calling, form, model)
        constraints = await compiled(language(lenient), "tools", model, 1)
    if calling.must or form is not None:
        return constraints
    tokens, thought = model.engine.token_bytes, (THINK, THOUGHT)
    words = [
        AfterTag(inner, CALL, model.over_call_tag, tokens, thought, in_thought=in_thought) for inner in constraints
    ]
    if model.native_calls or model.thinks:
        return words
    calls = await compiled(of_tools.calls_only(calling, before, lenient), "tools", model, 1)
    openings, beginnings = model.call_openings, model.call_beginnings
    return [CallChoice(call, word, openings, beginnings, threshold) for call, word in zip(calls, words, strict=True)]


async def _not_enforceable(calling: Calling, form: Form | None, model: ServedModel) -> set[int]:
    """The places of tools whose schema cannot be enforced as a whole. Raises InvalidRequest for one that has to be."""
    if form is not None:
        await compiled(form.grammar, form.path, model, 1)
    places: set[int] = set()
    for place, function in calling.functions:
        schema = Grammar(GrammarKind.JSON_SCHEMA, arguments_schema(function))
        try:
            await model.grammars.constraints(schema, 1)
        except GrammarError as error:
            if calling.must or function.strict:
                raise _refusal(f"tools[{place}].parameters", error) from None
            await compiled(replace(schema, lenient=True), f"tools[{place}].parameters", model, 1)
            places.add(place)
    return places


def _refusal(path: str, error: GrammarError) -> ServiceError:
    return invalid_value(path, f"'{path}' cannot be enforced: {error}")
