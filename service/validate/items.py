"""The rules about the input: items, roles and content parts. Knows no history: whether an id exists is asked later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from answerd.v1.content_pb2 import ContentPart
from answerd.v1.input_pb2 import Input
from answerd.v1.item_pb2 import FunctionCallItem, FunctionCallOutputItem, Item, MessagePhase, ReasoningItem, Role
from service.errors import Reason
from service.validate.faults import MAX_TEXT, Faults

MAX_ID = 64
NOT_TEXT = frozenset({"input_image", "input_file", "input_video"})
PARTS_OF: Mapping[int, tuple[str, ...]] = {
    Role.ROLE_USER: ("input_text",),
    Role.ROLE_SYSTEM: ("input_text",),
    Role.ROLE_DEVELOPER: ("input_text",),
    Role.ROLE_ASSISTANT: ("output_text", "refusal"),
}


def check_input(input: Input, faults: Faults, *, optional: bool = False) -> None:
    """optional: whether the input may be left out, or be empty."""
    match input.WhichOneof("form"):
        case None:
            if not optional:
                faults.missing("input")
        case "text":
            faults.length("input", input.text, MAX_TEXT)
        case "items":
            if not input.items.items and not optional:
                faults.invalid("input", "'input' must have at least one item.")
            for index, item in enumerate(input.items.items):
                _check_item(f"input[{index}]", item, faults)


def _check_item(path: str, item: Item, faults: Faults) -> None:
    kind = item.WhichOneof("type")
    if kind is None:
        faults.missing(f"{path}.type")
        return
    faults.length(f"{path}.id", getattr(item, kind).id, MAX_ID)
    match kind:
        case "message":
            _check_message(path, item, faults)
        case "function_call":
            _check_call(path, item.function_call, faults)
        case "function_call_output":
            _check_call_output(path, item.function_call_output, faults)
        case "reasoning":
            _check_reasoning(path, item.reasoning, faults)
        case "compaction":
            faults.length(f"{path}.encrypted_content", item.compaction.encrypted_content, MAX_TEXT)
        case "item_reference" if not item.item_reference.id:
            faults.missing(f"{path}.id")


def _check_message(path: str, item: Item, faults: Faults) -> None:
    message = item.message
    if message.role == Role.ROLE_UNSPECIFIED:
        faults.missing(f"{path}.role")
    else:
        faults.choice(f"{path}.role", message.role, PARTS_OF)
    faults.choice(f"{path}.phase", message.phase, MessagePhase.values())
    # A role that is unknown has been told already; it forbids no part.
    _check_parts(f"{path}.content", message.content, PARTS_OF.get(message.role), faults)


def _check_call(path: str, call: FunctionCallItem, faults: Faults) -> None:
    _check_call_id(path, call.call_id, faults)
    faults.name(f"{path}.name", call.name)


def _check_call_output(path: str, output: FunctionCallOutputItem, faults: Faults) -> None:
    _check_call_id(path, output.call_id, faults)
    match output.output.WhichOneof("form"):
        case None:
            faults.missing(f"{path}.output")
        case "text":
            faults.length(f"{path}.output", output.output.text, MAX_TEXT)
        case "parts":
            _check_parts(f"{path}.output", output.output.parts.parts, ("input_text",), faults)


def _check_reasoning(path: str, reasoning: ReasoningItem, faults: Faults) -> None:
    _check_parts(f"{path}.summary", reasoning.summary, ("summary_text",), faults)
    _check_parts(f"{path}.content", reasoning.content, ("reasoning_text",), faults)
    if reasoning.encrypted_content and not reasoning.content:
        path = f"{path}.encrypted_content"
        faults.invalid(path, f"'{path}' cannot be read: this server gives thoughts in 'content', and takes them there.")


def _check_call_id(path: str, call_id: str, faults: Faults) -> None:
    if not call_id:
        faults.missing(f"{path}.call_id")
    faults.length(f"{path}.call_id", call_id, MAX_ID)


def _check_parts(path: str, parts: Iterable[ContentPart], fitting: tuple[str, ...] | None, faults: Faults) -> None:
    for index, part in enumerate(parts):
        _check_part(f"{path}[{index}]", part, fitting, faults)


def _check_part(path: str, part: ContentPart, fitting: tuple[str, ...] | None, faults: Faults) -> None:
    kind = part.WhichOneof("type")
    if kind is None:
        faults.missing(f"{path}.type")
    elif kind in NOT_TEXT:
        faults.add(path, Reason.UNSUPPORTED_CONTENT, f"The model reads only text, not the {kind} at '{path}'.")
    elif fitting is not None and kind not in fitting:
        allowed = " or ".join(fitting)
        faults.invalid(path, f"'{path}' is {kind}, but only {allowed} fits there.")
    else:
        faults.length(path, part_text(part), MAX_TEXT)


def part_text(part: ContentPart) -> str:
    """The words of a part of any kind that has words."""
    match part.WhichOneof("type"):
        case "input_text":
            return part.input_text.text
        case "output_text":
            return part.output_text.text
        case "refusal":
            return part.refusal.refusal
        case "reasoning_text":
            return part.reasoning_text.text
        case "summary_text":
            return part.summary_text.text
        case _:
            return ""
