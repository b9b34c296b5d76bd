"""What a request says that its answer must keep to: as a grammar, and as constraints of a model. Knows no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.grammar_pb2 import GrammarType
from inference.constraint import Constraint
from inference.grammar.errors import GrammarError
from inference.grammar.grammar import ANY_OBJECT, Grammar, GrammarKind
from service.errors import invalid_value
from service.models.served import ServedModel

KINDS: Mapping[int, GrammarKind] = {
    GrammarType.GRAMMAR_TYPE_REGEX: GrammarKind.REGEX,
    GrammarType.GRAMMAR_TYPE_LARK: GrammarKind.LARK,
    GrammarType.GRAMMAR_TYPE_JSON_SCHEMA: GrammarKind.JSON_SCHEMA,
    GrammarType.GRAMMAR_TYPE_LLGUIDANCE: GrammarKind.LLGUIDANCE,
}


async def constraints_of(
    request: CreateResponseRequest, model: ServedModel, answers: int
) -> Sequence[Constraint | None]:
    """For each answer to a validated request what it must keep to, or None.

    Raises InvalidRequest for a grammar that cannot be compiled.
    """
    match request.text.format.WhichOneof("type"):
        case "json_object":
            return await compiled(ANY_OBJECT, "text.format", model, answers)
        case "json_schema":
            format = request.text.format.json_schema
            grammar = Grammar(GrammarKind.JSON_SCHEMA, format.schema, lenient=not format.strict)
            return await compiled(grammar, "text.format.schema", model, answers)
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
        raise invalid_value(path, f"'{path}' cannot be enforced: {error}") from None
