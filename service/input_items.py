"""The input of a request as items with identifiers: how it is stored, and how it is listed page by page.

It knows no store and no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListInputItemsResponse, ListOrder
from answerd.v1.input_pb2 import ItemList
from answerd.v1.item_pb2 import Item, ItemStatus, Role
from service.errors import invalid_value, quoted
from service.ids import ITEM_PREFIXES, new_item_id

DEFAULT_LIMIT = 20


def given_items(request: CreateResponseRequest) -> ItemList:
    """The input of a validated request as a list of items, a plain string being one user message; a copy."""
    items = ItemList()
    if request.input.WhichOneof("form") == "text":
        items.items.append(user_message(request.input.text))
    else:
        items.CopyFrom(request.input.items)
    return items


def user_message(text: str) -> Item:
    """A message of the user, without an identifier yet."""
    item = Item()
    item.message.role = Role.ROLE_USER
    item.message.content.add().input_text.text = text
    return item


def normalise(items: ItemList, new_id: Callable[[str], str] = new_item_id) -> None:
    """Makes items, none of them a reference, what is stored of them.

    Every item has an identifier that no other of the list has, the caller's own if it gave one, and a status;
    log-probabilities and annotations are dropped. new_id: gives one for a type of item.
    """
    taken: set[str] = set()
    for item in items.items:
        _normalise(item, taken, new_id)


def input_page(response_id: str, items: Sequence[Item], request: ListInputItemsRequest) -> ListInputItemsResponse:
    """The page of a response's input that a validated request asks for. Raises InvalidRequest for an `after` that is
    none of its items."""
    listed = _with_ids(response_id, items)
    if request.order != ListOrder.LIST_ORDER_ASC:
        listed.reverse()
    ids = [id_of(item) for item in listed]
    start = 0
    if request.HasField("after"):
        if request.after not in ids:
            sentence = f"The response has no input item with ID {quoted(request.after)}."
            raise invalid_value("after", sentence)
        start = ids.index(request.after) + 1
    end = start + (request.limit if request.HasField("limit") else DEFAULT_LIMIT)
    page = ListInputItemsResponse(data=listed[start:end], has_more=end < len(listed))
    if page.data:
        page.first_id, page.last_id = ids[start], ids[min(end, len(ids)) - 1]
    return page


def _normalise(item: Item, taken: set[str], new_id: Callable[[str], str]) -> None:
    kind, body = item.WhichOneof("type") or "", _body(item)
    # Clients send the same item twice by mistake; pages and references need to tell the two apart.
    if not body.id or body.id in taken:
        body.id = new_id(kind)
    taken.add(body.id)
    if hasattr(body, "status") and body.status != ItemStatus.ITEM_STATUS_INCOMPLETE:
        body.status = ItemStatus.ITEM_STATUS_COMPLETED
    for part in item.message.content if kind == "message" else ():
        if part.HasField("output_text"):
            part.output_text.ClearField("logprobs")
            part.output_text.ClearField("annotations")


def _with_ids(response_id: str, items: Sequence[Item]) -> list[Item]:
    """The items, those without an identifier under one that follows from their place: the same at each call."""
    listed, taken = [], set[str]()
    for index, item in enumerate(items):
        copy = Item()
        copy.CopyFrom(item)
        body, kind = _body(copy), copy.WhichOneof("type") or ""
        if not body.id or body.id in taken:
            body.id = ITEM_PREFIXES[kind] + hashlib.sha256(f"{response_id}/{index}".encode()).hexdigest()[:32]
        taken.add(body.id)
        listed.append(copy)
    return listed


def id_of(item: Item) -> str:
    """The identifier of an item; empty if it has none yet."""
    id: str = _body(item).id
    return id


def _body(item: Item) -> Any:
    """The message of the item's type."""
    return getattr(item, item.WhichOneof("type") or "")
