"""Items that stand for a compacted conversation: made of a summary, checked, and put back into words.

The summary travels sealed, so nothing of it is kept here. It knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from answerd.v1.item_pb2 import CompactionItem, Item, Role
from service.errors import invalid_value
from service.ids import new_item_id
from service.input_items import user_message
from service.seal import BrokenSeal, Seal
from service.store import Store

# A turn of two: templates want the user's word before the assistant's.
ASKED = "What have we talked about so far?"
SUMMARY = "Here is a summary of our conversation so far:\n{}"


class Compactions:
    """Compaction items of all owners, sealed with the secret of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seal: Seal | None = None

    async def item(self, owner: str, summary: str) -> Item:
        """The item that stands for the conversation of this summary. Raises StoreError."""
        sealed = (await self._opened()).close(owner, summary)
        return Item(compaction=CompactionItem(id=new_item_id("compaction"), encrypted_content=sealed))

    async def check(self, owner: str, items: Iterable[Item]) -> None:
        """Raises InvalidRequest for an item of an input that is none of this owner's, or StoreError."""
        for index, item in enumerate(items):
            if item.HasField("compaction"):
                await self._summary(owner, item, f"input[{index}].encrypted_content")

    async def expanded(self, owner: str, items: Sequence[Item]) -> Sequence[Item]:
        """The items, with messages that tell the summary in the place of each that stands for a conversation.

        Raises InvalidRequest, or StoreError.
        """
        if not any(item.HasField("compaction") for item in items):
            return items
        told: list[Item] = []
        for item in items:
            if not item.HasField("compaction"):
                told.append(item)
                continue
            summary = await self._summary(owner, item, "input")
            if not told or told[-1].message.role != Role.ROLE_USER:
                told.append(user_message(ASKED))
            told.append(_assistant(SUMMARY.format(summary)))
        return told

    async def _summary(self, owner: str, item: Item, path: str) -> str:
        try:
            return (await self._opened()).open(owner, item.compaction.encrypted_content)
        except BrokenSeal:
            sentence = f"'{path}' cannot be read: it was altered, or made for another key or by another server."
            raise invalid_value(path, sentence) from None

    async def _opened(self) -> Seal:
        if self._seal is None:
            self._seal = Seal(await self._store.secret())
        return self._seal


def _assistant(text: str) -> Item:
    item = Item()
    item.message.role = Role.ROLE_ASSISTANT
    item.message.content.add().output_text.text = text
    return item
