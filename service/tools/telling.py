"""How a model is told which functions there are: in its template's own way, or in a system text of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.tool_choice_pb2 import ToolChoiceMode
from answerd.v1.tool_pb2 import FunctionTool
from service.conversation import ChatMessage
from service.tools.preamble import preamble


def told_functions(request: CreateResponseRequest) -> list[FunctionTool]:
    """All functions, also those that this answer may not call, so that a prompt stays the same from turn to turn; none
    if no call may be made at all."""
    if request.tool_choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_NONE:
        return []
    return [tool.function for tool in request.tools]


def signatures(functions: Iterable[FunctionTool]) -> list[dict[str, Any]]:
    """As templates take them."""
    return [{"type": "function", "function": _signature(function)} for function in functions]


def with_preamble(messages: Sequence[ChatMessage], functions: Iterable[FunctionTool]) -> list[ChatMessage]:
    """The messages with a system text about the functions, behind what the one that they begin with says."""
    told = [_signature(function) for function in functions]
    if messages and messages[0]["role"] == "system":
        return [ChatMessage(role="system", content=preamble(messages[0]["content"], told)), *messages[1:]]
    return [ChatMessage(role="system", content=preamble(None, told)), *messages]


def _signature(function: FunctionTool) -> dict[str, Any]:
    parameters = json.loads(function.parameters) if function.HasField("parameters") else {}
    return {"name": function.name, "description": function.description, "parameters": parameters}
