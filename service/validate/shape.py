"""The rules about what shapes the answer: tools, the choice among them, the text format and grammars."""

from __future__ import annotations

import json

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.grammar_pb2 import Grammar, GrammarType
from answerd.v1.text_pb2 import TextFormat, Verbosity
from answerd.v1.tool_choice_pb2 import AllowedTools, ToolChoiceMode
from inference.grammar.grammar import MAX_LENGTH
from service.errors import quoted
from service.tools.calling import calling_of
from service.validate.faults import Faults

FORMATS = frozenset({"json_object", "json_schema"})  # that answers are held to


def check_shape(request: CreateResponseRequest, faults: Faults) -> None:
    _check_tools(request, faults)
    _check_tool_choice(request, faults)
    if request.HasField("max_tool_calls"):
        faults.number("max_tool_calls", request.max_tool_calls, 1)
    faults.choice("text.verbosity", request.text.verbosity, Verbosity.values())
    if request.text.HasField("format"):
        _check_format(request.text.format, faults)
    if request.HasField("grammar"):
        _check_grammar(request.grammar, request.text.format.WhichOneof("type"), faults)
    calls = calling_of(request) is not None
    if request.stop and (calls or request.HasField("grammar") or request.text.format.WhichOneof("type") in FORMATS):
        faults.invalid(
            "stop", "'stop' would break off an answer that keeps to 'text.format' or 'grammar' or calls 'tools'."
        )
    if calls and request.HasField("grammar"):
        faults.invalid("grammar", "'grammar' cannot be combined with 'tools' that may be called.")
    if calls and request.n_choices > 1:
        message = "'n_choices' cannot be above 1 beside 'tools' that may be called: nobody could tell whose a call is."
        faults.invalid("n_choices", message)


def _check_tools(request: CreateResponseRequest, faults: Faults) -> None:
    names: set[str] = set()
    for index, tool in enumerate(request.tools):
        path = f"tools[{index}]"
        if tool.WhichOneof("type") is None:
            faults.missing(f"{path}.type")
            continue
        faults.name(f"{path}.name", tool.function.name)
        if tool.function.name in names:
            faults.invalid(f"{path}.name", f"'{path}.name' repeats {quoted(tool.function.name)}.")
        names.add(tool.function.name)
        if tool.function.HasField("parameters"):
            _check_parameters(f"{path}.parameters", tool.function.parameters, faults)


def _check_parameters(path: str, text: str, faults: Faults) -> None:
    faults.json_object(path, text)
    if not faults.has(path) and json.loads(text).get("type", "object") != "object":
        faults.invalid(path, f"'{path}' must be a schema of objects: arguments have names.")


def _check_tool_choice(request: CreateResponseRequest, faults: Faults) -> None:
    known = {tool.function.name for tool in request.tools}
    choice = request.tool_choice
    if choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED and not request.tools:
        faults.invalid("tool_choice", "'tool_choice' is 'required', but there are no 'tools'.")
    match choice.WhichOneof("choice"):
        case "mode":
            faults.choice("tool_choice", choice.mode, ToolChoiceMode.values())
        case "function":
            _check_known("tool_choice.name", choice.function.name, known, faults)
        case "allowed_tools":
            _check_allowed(choice.allowed_tools, known, faults)


def _check_allowed(allowed: AllowedTools, known: set[str], faults: Faults) -> None:
    path = "tool_choice.tools"
    if not allowed.tools:
        faults.invalid(path, f"'{path}' must have at least one tool.")
    for index, tool in enumerate(allowed.tools):
        _check_known(f"{path}[{index}].name", tool.name, known, faults)
    modes = set(ToolChoiceMode.values()) - {ToolChoiceMode.TOOL_CHOICE_MODE_NONE}
    faults.choice("tool_choice.mode", allowed.mode, modes)


def _check_known(path: str, name: str, known: set[str], faults: Faults) -> None:
    if not name:
        faults.missing(path)
    elif name not in known:
        faults.invalid(path, f"'{path}' is {quoted(name)}, but there is no such tool in 'tools'.")


def _check_format(format: TextFormat, faults: Faults) -> None:
    match format.WhichOneof("type"):
        case None:
            faults.missing("text.format.type")
        case "json_schema":
            faults.name("text.format.name", format.json_schema.name)
            faults.json_object("text.format.schema", format.json_schema.schema)


def _check_grammar(grammar: Grammar, format: str | None, faults: Faults) -> None:
    if format in FORMATS:
        faults.invalid("grammar", "'grammar' cannot be combined with 'text.format'.")
    if grammar.type == GrammarType.GRAMMAR_TYPE_UNSPECIFIED:
        faults.missing("grammar.type")
    faults.choice("grammar.type", grammar.type, GrammarType.values())
    if not grammar.value:
        faults.missing("grammar.value")
    faults.length("grammar.value", grammar.value, MAX_LENGTH)
