"""Following a response over gRPC: while it runs, afterwards, after a restart, and when there is nothing to follow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import ResponseStatus
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest, StreamResponseRequest
from service.recovery import CRASHED, NUMBERS_SKIPPED, fail_unfinished
from service.store import Bounds, Record, open_store
from tests.service.conftest import ANSWERS, LONG
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, read_until, refusal, serving, text_of


async def followed(served: Served, id: str, after: int | None = None) -> list[ResponseEvent]:
    request = StreamResponseRequest(id=id, starting_after=after)
    return [event async for event in served.stub.StreamResponse(request, timeout=WAIT)]


async def test_a_response_that_has_ended_is_told_again_from_any_event_on(served: Served) -> None:
    events = [event async for event in served.create("hi")]
    id = final(events).id
    assert await followed(served, id) == events
    for after in range(len(events) + 2):
        assert await followed(served, id, after) == events[after + 1 :]


@pytest.mark.parametrize(
    ("question", "limit", "last"),
    [("nothing", None, "completed"), ("hi", 2, "incomplete"), ("long", None, "completed")],
)
async def test_every_ending_is_told_again(served: Served, question: str, limit: int | None, last: str) -> None:
    events = [event async for event in served.create(question, max_output_tokens=limit, n_choices=2, logprobs=True)]
    assert names(events)[-1] == last
    assert await followed(served, final(events).id) == events


async def test_a_failed_response_is_told_again(served: Served) -> None:
    served.gate.fail = lambda name: name == "decode"
    events = [event async for event in served.create("hi")]
    assert names(events)[-2:] == ["error", "failed"]
    assert await followed(served, final(events).id) == events


async def test_a_running_response_is_followed_to_its_end_by_any_number_of_readers(served: Served) -> None:
    served.gate.hold_after(5)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    followers = [asyncio.create_task(followed(served, id, after)) for after in (None, 0, 3, 9)]
    first = served.stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT)
    assert await read_until(first, "output_text_delta") == events
    served.clock.now += 1.5  # the text so far is written meanwhile
    served.gate.open()
    events += [event async for event in call]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert text_of(final(events)) == LONG
    assert [await follower for follower in followers] == [events, events[1:], events[4:], events[10:]]
    assert await followed(served, id) == events


async def test_a_follower_who_leaves_or_does_not_read_changes_nothing(served: Served) -> None:
    served.gate.hold_after(5)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    leaving, idle = (served.stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT) for _ in range(2))
    await read_until(leaving, "created")
    await read_until(idle, "created")
    leaving.cancel()
    served.gate.open()
    events += [event async for event in call]
    assert text_of(final(events)) == LONG
    assert [event async for event in idle] == events[1:]


async def test_whoever_follows_a_response_hears_that_its_caller_left(served: Served) -> None:
    served.gate.hold_after(5)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    following = served.stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT)
    await read_until(following, "output_text_delta")
    call.cancel()
    rest = [event async for event in following]
    assert names(rest)[-1] == "incomplete"
    assert final(rest).status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    again = await followed(served, id)
    assert again[: len(events)] == events
    assert again[len(again) - len(rest) :] == rest


async def test_nobody_follows_what_is_unknown_foreign_deleted_or_not_kept(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        alice, bob = (("authorization", "Bearer alice"),), (("authorization", "Bearer bob"),)
        theirs, deleted = (await served.answer("hi", caller=alice)).id, (await served.answer("hi", caller=alice)).id
        await served.stub.DeleteResponse(DeleteResponseRequest(id=deleted), metadata=alice, timeout=WAIT)
        unkept = (await served.answer("hi", caller=alice, store=False)).id
        for id, caller in ((theirs, bob), ("resp_nobody", alice), (deleted, alice), (unkept, alice)):
            call = served.stub.StreamResponse(StreamResponseRequest(id=id), metadata=caller, timeout=WAIT)
            fault = await refusal(call)
            assert (fault.code, fault.reason) == (grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND")


async def test_a_number_that_no_event_has_is_refused_by_name(served: Served) -> None:
    id = (await served.answer("hi")).id
    fault = await refusal(served.stub.StreamResponse(StreamResponseRequest(id=id, starting_after=-1), timeout=WAIT))
    assert fault.reason == "INVALID_VALUE"
    assert "starting_after" in fault.message


async def test_after_a_restart_the_same_events_are_told(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS) as served:
        events = [event async for event in served.create("long")]
    async with serving(tmp_path, ANSWERS) as served:
        assert await followed(served, final(events).id) == events


def length(events: list[ResponseEvent]) -> int:
    """Characters said in deltas."""
    return sum(len(event.output_text_delta.delta) for event in events)


async def test_after_a_crash_what_was_written_is_told_and_a_failure_with_numbers_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path / "first", ANSWERS) as served:
        served.gate.hold_after(3)
        call = served.create("long")
        events = list[ResponseEvent]()
        while length(events) < 4:  # the prompt's token and those of three calls
            events += await read_until(call, "output_text_delta")
        id = events[0].created.response.id
        served.clock.now += 1.5
        served.gate.hold_after(1)
        events += await read_until(call, "output_text_delta")
        replay = await served.store.replay("local", id)
        while replay is None or len(replay.segments) < 2:
            replay = await served.store.replay("local", id)
    # What a kill would have left: the record as it was at that moment.
    (tmp_path / "second").mkdir()
    store = await open_store(f"sqlite:///{tmp_path / 'second' / 'responses.db'}", Bounds(), lambda: 1_700_000_000)
    record = replay.record
    await store.create(Record(id, "local", record.created_at, record.request, response=record.response))
    for segment in replay.segments:
        await store.checkpoint(id, segment)
    assert await fail_unfinished(store) == 1
    await store.close()
    async with serving(tmp_path / "second", ANSWERS) as served:
        again = await followed(served, id)
        ended = names(again)[-5:]
        assert ended == ["output_text_done", "content_part_done", "output_item_done", "error", "failed"]
        assert again[:-5] == events[: len(again) - 5]
        assert [e.sequence_number for e in again[-5:]] == [len(again) - 5 + NUMBERS_SKIPPED + n for n in range(5)]
        assert again[-2].error.message == final(again).error.message == CRASHED
        said = "".join(event.output_text_delta.delta for event in again)
        assert text_of(final(again)) == again[-5].output_text_done.text == said != ""
        assert await followed(served, id, events[-1].sequence_number) == again[-5:]


async def test_a_response_stored_before_events_were_is_told_in_short(served: Served) -> None:
    whole = await served.answer("hi")
    whole.id = "resp_old"
    old = Record("resp_old", "local", 1_700_000_000, b"")
    await served.store.create(old)
    await served.store.finish("resp_old", "completed", whole.SerializeToString())
    events = await followed(served, "resp_old")
    assert names(events) == ["created", "completed"]
    assert [event.sequence_number for event in events] == [0, 1]
    assert not events[0].created.response.output
    assert final(events) == whole


async def test_damaged_events_are_told_as_such_and_leave_the_response(served: Served) -> None:
    whole = await served.answer("hi")
    whole.id = "resp_damaged"
    await served.store.create(Record("resp_damaged", "local", 1_700_000_000, b""), b"\0\0\0\4\xff\xff\xff\xff")
    await served.store.finish("resp_damaged", "completed", whole.SerializeToString())
    call = served.stub.StreamResponse(StreamResponseRequest(id="resp_damaged"), timeout=WAIT)
    assert (await refusal(call)).reason == "STORE_UNAVAILABLE"
    assert await served.stub.GetResponse(GetResponseRequest(id="resp_damaged"), timeout=WAIT) == whole
