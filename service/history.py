"""A conversation: from stored turns to items, and from items to chat messages.

Knows which responses can be continued. Does not know how a template renders messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypedDict

from answerd.v1.item_pb2 import Item, MessageItem, Role
from answerd.v1.response_pb2 import Response, ResponseStatus
from service.errors import previous_response_not_found, previous_response_not_usable
from service.status import status_name
from service.stored import StoredTurn, input_of, response_of
from service.validate.items import part_text

USABLE = frozenset({ResponseStatus.RESPONSE_STATUS_COMPLETED, ResponseStatus.RESPONSE_STATUS_INCOMPLETE})
# Chat templates know no developer; the word of one counts as the system's.
ROLE_NAMES = {
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_DEVELOPER: "system",
}


class ChatMessage(TypedDict):
    """What chat templates take."""

    role: str
    content: str


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


def _first_choice(output: Iterable[Item]) -> Iterable[Item]:
    """Of several answers the first is the history. Each has one message."""
    messages = 0
    for item in output:
        messages += item.HasField("message")
        if messages <= 1:
            yield item


def _check_usable(response_id: str, parent: Response) -> None:
    if parent.status not in USABLE:
        raise previous_response_not_usable(response_id, status_name(parent.status))


def chat_messages(instructions: str | None, items: Iterable[Item]) -> list[ChatMessage]:
    """The messages of a conversation: the instructions of this turn first, then the items in their order."""
    messages = [ChatMessage(role="system", content=instructions)] if instructions else []
    return messages + [_chat_message(item.message) for item in items]


def _chat_message(message: MessageItem) -> ChatMessage:
    return ChatMessage(role=ROLE_NAMES[message.role], content="".join(part_text(part) for part in message.content))
