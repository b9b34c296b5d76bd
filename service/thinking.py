"""What a request says about thinking, as templates take it, and whether a prompt begins a thought. Knows no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.reasoning_pb2 import ReasoningEffort
from service.output.parser import THINK, THOUGHT

_EFFORT = "REASONING_EFFORT_"
_LAST_TOKENS = 16  # hold the tag and the white space behind it, even if each is a character


def thinking_variables(request: CreateResponseRequest) -> dict[str, Any]:
    """`enable_thinking` and `reasoning_effort`, by the names that published templates ask for; what the request leaves
    open is left to the template."""
    effort = request.reasoning.effort
    variables: dict[str, Any] = {}
    if request.HasField("enable_thinking"):
        variables["enable_thinking"] = request.enable_thinking
    elif effort:
        variables["enable_thinking"] = effort != ReasoningEffort.REASONING_EFFORT_NONE
    if effort not in (ReasoningEffort.REASONING_EFFORT_UNSPECIFIED, ReasoningEffort.REASONING_EFFORT_NONE):
        variables["reasoning_effort"] = ReasoningEffort.Name(effort).removeprefix(_EFFORT).lower()
    return variables


def begins_thought(prompt: tuple[int, ...], bytes_of: Callable[[int], bytes]) -> bool:
    """Whether the prompt ends with the tag of a thought, as some templates have it."""
    return b"".join(map(bytes_of, prompt[-_LAST_TOKENS:])).rstrip().endswith(THINK.encode())


def ends_thought(request: CreateResponseRequest) -> bool:
    """Whether a thought that the prompt began can end: a grammar of the caller's own may leave no place for it. Then
    all that is said is the answer."""
    return not request.HasField("grammar") or THOUGHT in request.grammar.value
