"""Items that stand for stored ones: found by their identifier, and put in their place.

It knows what a record says, not where it lies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from answerd.v1.input_pb2 import ItemList
from answerd.v1.item_pb2 import Item
from service.errors import item_not_found
from service.input_items import id_of
from service.stored import StoredTurn, input_of, response_of

FindItem = Callable[[str, str], Awaitable[StoredTurn | None]]


def has_references(items: ItemList) -> bool:
    return any(item.HasField("item_reference") for item in items.items)


async def resolved(items: ItemList, owner: str, find_item: FindItem) -> ItemList:
    """The items, with a copy of the stored one in the place of each reference.

    A copy, so that what was asked stays what it was when the response that the item came from is deleted.
    find_item: the store's. Raises ServiceError, ITEM_NOT_FOUND, or RecordDamaged.
    """
    wanted = {item.item_reference.id for item in items.items if item.HasField("item_reference")}
    found: dict[str, Item] = {}
    whole = ItemList()
    for item in items.items:
        if not item.HasField("item_reference"):
            whole.items.append(item)
            continue
        id = item.item_reference.id
        if id not in found:
            turn = await find_item(owner, id)
            if turn is None:
                raise item_not_found(id)
            # References come in flocks: one record often has the next ones, too.
            found.update({id_of(held): held for held in _items_of(turn) if id_of(held) in wanted} | found)
        if id not in found:
            raise item_not_found(id)
        whole.items.append(found[id])
    return whole


def _items_of(turn: StoredTurn) -> list[Item]:
    return [*input_of(turn).items, *response_of(turn).output]
