"""Which functions an answer may call, and whether it must. It knows neither prompts nor grammars."""

from __future__ import annotations

import json
from dataclasses import dataclass

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.tool_choice_pb2 import ToolChoiceMode
from answerd.v1.tool_pb2 import FunctionTool

# One turn's calls, where the request sets no bound: a small model may go on for ever.
MOST_CALLS = 16
_NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}
# Keys that name properties in other ways than `properties`, so that those listed there are not all.
_OPEN = frozenset({"additionalProperties", "unevaluatedProperties", "patternProperties", "propertyNames"})
_COMPOSED = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas", "minProperties"})


@dataclass(frozen=True)
class Calling:
    """functions: with their places in the request's tools. must: at least one call is made. most: calls, at most."""

    functions: tuple[tuple[int, FunctionTool], ...]
    must: bool
    most: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(function.name for _, function in self.functions)


def calling_of(request: CreateResponseRequest) -> Calling | None:
    """The calls that the answer to a request may make, or None if it may make none."""
    choice = request.tool_choice
    chosen: set[str] | None = None
    must = choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED
    most = request.max_tool_calls if request.HasField("max_tool_calls") else MOST_CALLS
    if request.HasField("parallel_tool_calls") and not request.parallel_tool_calls:
        most = 1
    match choice.WhichOneof("choice"):
        case "mode" if choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_NONE:
            return None
        case "function":
            chosen, must, most = {choice.function.name}, True, 1
        case "allowed_tools":
            chosen = {tool.name for tool in choice.allowed_tools.tools}
            must = choice.allowed_tools.mode == ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED
    tools = enumerate(tool.function for tool in request.tools)
    functions = tuple((place, tool) for place, tool in tools if chosen is None or tool.name in chosen)
    return Calling(functions, must, min(most, MOST_CALLS)) if functions else None


def arguments_schema(function: FunctionTool) -> str:
    """The schema that a call's arguments keep to, as JSON text: an object, of the listed properties alone where the
    function's own schema leaves that open."""
    if not function.HasField("parameters"):
        return json.dumps(_NO_ARGUMENTS)
    schema = {"type": "object", **json.loads(function.parameters)}
    if "properties" in schema and not (_OPEN | _COMPOSED) & schema.keys():
        schema["additionalProperties"] = False
    return json.dumps(schema)
