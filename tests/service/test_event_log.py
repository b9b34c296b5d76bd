"""Readers of one log: however they come, go and dawdle, they see one sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerd.v1.event_pb2 import OutputTextDelta, ResponseEvent
from service.event_log import EventLog
from tests.service.scripted_model import WAIT


class Talker:
    """Text that waits until a reader has use for it, as a log's one source."""

    def __init__(self) -> None:
        self.log = EventLog(self._tell)
        self._waiting: list[str] = []

    def say(self, text: str) -> None:
        self._waiting.append(text)
        self.log.wake()

    def end(self) -> None:
        self._tell()
        self.log.close()

    def _tell(self) -> None:
        if self._waiting:
            delta = OutputTextDelta(delta="".join(self._waiting))
            self._waiting = []
            self.log.append([ResponseEvent(sequence_number=len(self.log.events), output_text_delta=delta)])


def text_of(events: Sequence[ResponseEvent]) -> str:
    return "".join(event.output_text_delta.delta for event in events)


async def read(talker: Talker, after: int, pauses: Sequence[int]) -> list[ResponseEvent]:
    """All events after a number, with so many turns of the loop between one and the next."""
    events = []
    async for event in talker.log.read(after):
        events.append(event)
        for _ in range(pauses[len(events) % len(pauses)] if pauses else 0):
            await asyncio.sleep(0)
    return events


TEXTS = st.lists(st.text(min_size=1, max_size=3), max_size=20)
READERS = st.lists(st.tuples(st.integers(-1, 30), st.lists(st.integers(0, 5), max_size=4)), max_size=4)


@settings(deadline=None)
@given(readers=READERS, texts=TEXTS, pauses=st.lists(st.integers(0, 3)))
def test_every_reader_sees_the_same_events_from_its_place_on(
    readers: list[tuple[int, list[int]]], texts: list[str], pauses: list[int]
) -> None:
    async def run() -> None:
        talker = Talker()
        reading = [asyncio.create_task(read(talker, after, dawdle)) for after, dawdle in readers]
        for place, text in enumerate(texts):
            talker.say(text)
            for _ in range(pauses[place % len(pauses)] if pauses else 0):
                await asyncio.sleep(0)
        talker.end()
        events = talker.log.events
        assert text_of(events) == "".join(texts)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        for (after, _), task in zip(readers, reading, strict=True):
            assert await task == list(events[after + 1 :])
        assert await read(talker, -1, []) == list(events)

    asyncio.run(asyncio.wait_for(run(), WAIT))


async def test_what_waits_for_all_readers_becomes_one_event() -> None:
    talker = Talker()
    reader = talker.log.read()
    talker.say("a")
    assert (await anext(reader)).output_text_delta.delta == "a"
    for text in "bcd":
        talker.say(text)
    assert (await anext(reader)).output_text_delta.delta == "bcd"
    assert [event.output_text_delta.delta for event in talker.log.events] == ["a", "bcd"]


async def test_a_reader_beyond_the_end_waits_for_its_number() -> None:
    talker = Talker()
    reading = asyncio.create_task(read(talker, 1, []))
    for text in "abc":
        talker.say(text)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    talker.end()
    assert text_of(await reading) == "c"


async def test_a_failure_reaches_every_reader_after_the_events_before_it() -> None:
    talker = Talker()
    talker.say("a")
    reader, other = talker.log.read(), talker.log.read(5)
    await anext(reader)
    talker.log.close(LookupError("gone"))
    talker.log.close()
    for waiting in (reader, other):
        with pytest.raises(LookupError):
            await anext(waiting)
