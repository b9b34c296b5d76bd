"""How many of everything a request may have. It counts and looks at nothing, so it is quick whatever comes."""

from __future__ import annotations

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.item_pb2 import Item
from answerd.v1.truncation_pb2 import Truncation
from inference.grammar.grammar import MAX_LENGTH
from inference.types import ContextLengthExceeded
from service.validate.faults import Faults

MAX_STOPS = 16
MAX_NOTES = 16
MAX_INCLUDES = 64
MAX_TOOLS = 128
MAX_BIASES = 1024
MAX_BREAKERS = 64
MAX_PARTS = 10_000
# What takes a few milliseconds to look at, which a thread is worth.
MANY_PARTS = 100
LONG_TOOLS = 16_384


def check_length(request: CreateResponseRequest, longest_prompt: int) -> None:
    """Raises ContextLengthExceeded for more items than fit: each that stays costs the prompt a token at least."""
    items = len(request.input.items.items)
    if items > longest_prompt and request.truncation != Truncation.TRUNCATION_AUTO:
        raise ContextLengthExceeded(items, longest_prompt, at_least=True)


def is_large(request: CreateResponseRequest) -> bool:
    """Whether looking at its input or its tools belongs on another thread."""
    parts = len(request.input.items.items) + sum(map(_parts, request.input.items.items))
    return parts > MANY_PARTS or has_long_tools(request)


def has_long_tools(request: CreateResponseRequest) -> bool:
    return _tools_length(request) > LONG_TOOLS


def check_counts(request: CreateResponseRequest, faults: Faults) -> None:
    """Raises InvalidRequest if there is too much of something: then nothing of it is looked at."""
    bounds = [
        ("include", len(request.include), MAX_INCLUDES, "values"),
        ("tools", len(request.tools), MAX_TOOLS, "tools"),
        # They are parsed more than once, and are all in the prompt.
        ("tools", _tools_length(request), MAX_LENGTH, "characters of descriptions and parameters"),
        ("metadata", len(request.metadata), MAX_NOTES, "keys"),
        ("stop", len(request.stop), MAX_STOPS, "strings"),
        ("logit_bias", len(request.logit_bias), MAX_BIASES, "tokens"),
        ("dry_sequence_breakers", len(request.dry_sequence_breakers.values), MAX_BREAKERS, "strings"),
        ("tool_choice.tools", len(request.tool_choice.allowed_tools.tools), MAX_TOOLS, "tools"),
        ("input", len(request.input.items.items), MAX_PARTS, "items"),
        ("input", sum(map(_parts, request.input.items.items)), MAX_PARTS, "content parts"),
    ]
    for path, count, most, what in bounds:
        if count > most:
            faults.invalid(path, f"'{path}' must have at most {most} {what}, but has {count}.")
    faults.check()


def _tools_length(request: CreateResponseRequest) -> int:
    return sum(len(tool.function.description) + len(tool.function.parameters) for tool in request.tools)


def _parts(item: Item) -> int:
    match item.WhichOneof("type"):
        case "message":
            return len(item.message.content)
        case "function_call_output":
            return len(item.function_call_output.output.parts.parts)
        case _:
            return 0
