"""A conversation: from stored turns and a new input to items, and from items to chat messages.

Knows which responses can be continued and what is kept of an input. Does not know how a template renders messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypedDict

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import ItemList
from answerd.v1.item_pb2 import Item, ItemStatus, MessageItem, Role
from answerd.v1.response_pb2 import Response, ResponseStatus
from service.errors import previous_response_not_found, previous_response_not_usable
from service.ids import new_message_id
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


def normalise_input(request: CreateResponseRequest, new_id: Callable[[], str] = new_message_id) -> ItemList:
    """The input of a validated request as it is stored: a list of items, a plain string being one user message.

    Every message has an identifier, the caller's own if it gave one, and a status; log-probabilities and
    annotations are dropped.
    """
    items = ItemList()
    if request.input.WhichOneof("form") == "text":
        message = items.items.add().message
        message.role = Role.ROLE_USER
        message.content.add().input_text.text = request.input.text
    else:
        items.CopyFrom(request.input.items)
    for item in items.items:
        _normalise(item.message, new_id)
    return items


def _normalise(message: MessageItem, new_id: Callable[[], str]) -> None:
    message.id = message.id or new_id()
    if message.status != ItemStatus.ITEM_STATUS_INCOMPLETE:
        message.status = ItemStatus.ITEM_STATUS_COMPLETED
    for part in message.content:
        if part.HasField("output_text"):
            part.output_text.ClearField("logprobs")
            part.output_text.ClearField("annotations")


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
