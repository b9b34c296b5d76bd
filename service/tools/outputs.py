"""Whether the outputs of calls in a conversation belong to calls in it. A call without an output is one that was given
up, and harmless. It knows no store."""

from __future__ import annotations

from collections.abc import Iterable

from answerd.v1.item_pb2 import Item
from service.errors import tool_call_not_found


def check_outputs(conversation: Iterable[Item]) -> None:
    """Raises ServiceError, TOOL_CALL_NOT_FOUND, for an output before which there is no call of its identifier. Behind a
    conversation that was compacted, its call may be a part of that."""
    called: set[str] = set()
    for item in conversation:
        match item.WhichOneof("type"):
            case "compaction":
                return
            case "function_call":
                called.add(item.function_call.call_id)
            case "function_call_output" if item.function_call_output.call_id not in called:
                raise tool_call_not_found(item.function_call_output.call_id)
