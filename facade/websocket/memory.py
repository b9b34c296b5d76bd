"""What one connection remembers: the most recent response that it made, so that it can go on if nothing is stored.

It knows messages of the contract, and neither the connection nor the service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.item_pb2 import Item, Role
from answerd.v1.response_pb2 import Response, ResponseStatus
from facade.errors import ApiError

USABLE = frozenset({ResponseStatus.RESPONSE_STATUS_COMPLETED, ResponseStatus.RESPONSE_STATUS_INCOMPLETE})


@dataclass(frozen=True)
class Turn:
    """One request as it goes to the service. `earlier`: how many items of its input are those of earlier turns."""

    request: CreateResponseRequest
    earlier: int = 0


@dataclass(frozen=True)
class _Last:
    """The most recent response. `items`: what has come since `stored_parent`, the last response that the store has;
    none for a stored one, which is its own."""

    id: str
    stored_parent: str | None
    items: Sequence[Item] = ()


class Memory:
    """At most one response. It holds no more than the largest request and one output: a longer one is refused."""

    def __init__(self) -> None:
        self._last: _Last | None = None

    def resume(self, request: CreateResponseRequest) -> Turn:
        """The request, with what is remembered before its input if it goes on from there.

        Raises ApiError, PREVIOUS_RESPONSE_NOT_FOUND, if it is not to be stored and goes on from anything else. One that
        is to be stored may go on from any stored response, which the service finds.
        """
        if not request.HasField("previous_response_id"):
            return Turn(request)
        last = self._last
        if last is None or last.id != request.previous_response_id:
            if request.HasField("store") and not request.store:
                raise _not_found(request.previous_response_id)
            return Turn(request)
        if not last.items:
            return Turn(request)
        whole = CreateResponseRequest()
        whole.CopyFrom(request)
        del whole.input.items.items[:]
        whole.input.items.items.extend([*last.items, *_items_of(request)])
        whole.unstored_parent_id = last.id
        if last.stored_parent is None:
            whole.ClearField("previous_response_id")
        else:
            whole.previous_response_id = last.stored_parent
        return Turn(whole, len(last.items))

    def keep(self, turn: Turn, response: Response) -> None:
        """Remembers the response to a turn as far as it came; one that cannot be continued fails what it continued."""
        if response.status not in USABLE:
            self.forget(response.previous_response_id)
            return
        if response.store:
            self._last = _Last(response.id, response.id)
            return
        request = turn.request
        stored = request.previous_response_id if request.HasField("previous_response_id") else None
        items = [*_items_of(request), *_first_choice(response.output)]
        self._last = _Last(response.id, stored, items)

    def forget(self, id: object) -> None:
        """What is remembered under this id, of which a continuation has failed, is gone."""
        if self._last is not None and self._last.id == id:
            self._last = None


def _items_of(request: CreateResponseRequest) -> list[Item]:
    if request.input.WhichOneof("form") != "text":
        return list(request.input.items.items)
    item = Item()
    item.message.role = Role.ROLE_USER
    item.message.content.add().input_text.text = request.input.text
    return [item]


def _first_choice(output: Sequence[Item]) -> Sequence[Item]:
    """Of several answers the first is the history, as in the service."""
    messages = [index for index, item in enumerate(output) if item.HasField("message")]
    if not messages or any(item.HasField("function_call") for item in output):
        return output
    return output[: messages[0] + 1]


def _not_found(id: str) -> ApiError:
    message = f"Previous response with ID '{id[:100]}' not found."
    return ApiError("PREVIOUS_RESPONSE_NOT_FOUND", message, "previous_response_id")
