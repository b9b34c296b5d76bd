"""A conversation's history: from stored turns to items. Knows which responses can be continued."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from answerd.v1.item_pb2 import Item
from answerd.v1.response_pb2 import Response, ResponseStatus
from service.errors import previous_response_not_found, previous_response_not_usable
from service.status import status_name
from service.stored import StoredTurn, input_of, response_of

USABLE = frozenset({ResponseStatus.RESPONSE_STATUS_COMPLETED, ResponseStatus.RESPONSE_STATUS_INCOMPLETE})
LoadChain = Callable[[str, str], Awaitable[Sequence[StoredTurn] | None]]


async def load_history(load_chain: LoadChain, owner: str, previous_response_id: str) -> list[Item]:
    """The items of all turns up to and with the response to continue, oldest first.

    load_chain: the store's `chain`. Raises ServiceError, PREVIOUS_RESPONSE_NOT_FOUND or PREVIOUS_RESPONSE_NOT_USABLE,
    or RecordDamaged.
    """
    chain = await load_chain(owner, previous_response_id)
    if not chain:
        raise previous_response_not_found(previous_response_id)
    turns = [(input_of(turn), response_of(turn)) for turn in chain]
    _check_usable(previous_response_id, turns[-1][1])
    return [item for input, response in turns for item in (*input.items, *_first_choice(response.output))]


def _first_choice(output: Sequence[Item]) -> Sequence[Item]:
    """Of several answers the first is the history. Each of them ends with its one message, and none has calls."""
    messages = [index for index, item in enumerate(output) if item.HasField("message")]
    if not messages or any(item.HasField("function_call") for item in output):
        return output
    return output[: messages[0] + 1]


def _check_usable(response_id: str, parent: Response) -> None:
    if parent.status not in USABLE:
        raise previous_response_not_usable(response_id, status_name(parent.status))
