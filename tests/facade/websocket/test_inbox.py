"""The inbox is bounded in messages and bytes: who puts one more waits until one is taken."""

import asyncio

import pytest

from facade.errors import ApiError
from facade.websocket.inbox import MAX_MESSAGES, Inbox


async def is_waiting(task: "asyncio.Task[None]") -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


@pytest.mark.parametrize(
    ("held", "more"), [([b"m"] * MAX_MESSAGES, b"m"), ([b"m" * 60], b"m" * 41), ([b"m" * 500], b"m")]
)
async def test_one_message_too_many_waits_for_room(held: list[bytes], more: bytes) -> None:
    inbox = Inbox(100)
    for message in held:
        await inbox.put(message)
    putting = asyncio.create_task(inbox.put(more))
    assert await is_waiting(putting)
    assert await inbox.get() == held[0]
    await putting


async def test_messages_come_in_their_order_faults_too() -> None:
    inbox, fault = Inbox(100), ApiError("MALFORMED_JSON", "no")
    for message in (b"a", fault, b"b"):
        await inbox.put(message)
    assert [await inbox.get() for _ in range(3)] == [b"a", fault, b"b"]


async def test_a_closed_inbox_gives_nothing_more_and_lets_nobody_wait() -> None:
    inbox = Inbox(100)
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    await inbox.close()
    assert await taking is None
    await inbox.put(b"late")
    assert await inbox.get() is None
