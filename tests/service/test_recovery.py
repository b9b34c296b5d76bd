"""What a crash leaves in the store, and what the next start makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from answerd.v1.item_pb2 import ItemStatus
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.usage_pb2 import Usage
from service.lifecycle import Completed, Lifecycle
from service.output.pieces import Text
from service.recovery import CRASHED, fail_record, fail_unfinished
from service.segments import pack
from service.store import Bounds, Record, Store, open_store
from tests.service.served import text_of

NOW = 1_700_000_000


async def open_again(folder: Path) -> Store:
    return await open_store(f"sqlite:///{folder / 'responses.db'}", Bounds(), lambda: NOW)


def running(id: str) -> tuple[Record, Lifecycle]:
    """A response that was just admitted, as record and as lifecycle."""
    response = Response(id=id, status=ResponseStatus.RESPONSE_STATUS_IN_PROGRESS, model="scripted", store=True)
    record = Record(id=id, owner="local", created_at=NOW, request=b"", response=response.SerializeToString())
    return record, Lifecycle(response)


async def test_after_a_crash_a_running_response_has_failed_with_what_was_generated(tmp_path: Path) -> None:
    store = await open_again(tmp_path)
    record, lifecycle = running("resp_1")
    await store.create(record, pack(lifecycle.start()))
    for piece in ("half", " an", " ans"):
        await store.checkpoint("resp_1", pack(lifecycle.take(Text(piece, 0))))
    await store.close()

    store = await open_again(tmp_path)
    assert await fail_unfinished(store) == 1
    found = await store.get("local", "resp_1")
    assert found is not None
    response = Response.FromString(found.response)
    assert found.status == "failed"
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert (response.error.code, response.error.message) == ("server_error", CRASHED)
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    assert text_of(response) == "half an ans"
    assert await store.unfinished() == []
    await store.close()


async def test_what_an_older_version_wrote_of_a_running_response_is_not_lost(tmp_path: Path) -> None:
    """It wrote the text so far into the response, and no events."""
    store = await open_again(tmp_path)
    record, lifecycle = running("resp_1")
    lifecycle.take(Text("half an ans", 0))
    await store.create(replace(record, response=lifecycle.snapshot().SerializeToString()))
    assert await fail_unfinished(store) == 1
    found = await store.get("local", "resp_1")
    assert found is not None
    response = Response.FromString(found.response)
    assert text_of(response) == "half an ans"
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    await store.close()


async def test_a_response_that_had_no_text_yet_fails_without_output(tmp_path: Path) -> None:
    store = await open_again(tmp_path)
    await store.create(running("resp_1")[0])
    assert await fail_unfinished(store) == 1
    found = await store.get("local", "resp_1")
    assert found is not None
    response = Response.FromString(found.response)
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert response.model == "scripted"
    assert not response.output
    await store.close()


async def test_what_had_ended_stays_as_it_was(tmp_path: Path) -> None:
    store = await open_again(tmp_path)
    record, lifecycle = running("resp_1")
    await store.create(record)
    lifecycle.take(Text("whole", 0))
    lifecycle.end(Completed(at=NOW), Usage())
    whole = lifecycle.snapshot().SerializeToString()
    await store.finish("resp_1", "completed", whole)
    assert await fail_unfinished(store) == 0
    # Nor does a reader change it that took it for unfinished a moment ago.
    assert await fail_record(store, record, CRASHED) is None
    found = await store.get("local", "resp_1")
    assert found is not None
    assert (found.status, found.response) == ("completed", whole)
    await store.close()


async def test_everybodys_unfinished_responses_are_ended(tmp_path: Path) -> None:
    store = await open_again(tmp_path)
    for owner in ("alice", "bob"):
        record = running(f"resp_{owner}")[0]
        await store.create(Record(record.id, owner, NOW, b"", response=record.response))
    assert await fail_unfinished(store) == 2
    for owner in ("alice", "bob"):
        found = await store.get(owner, f"resp_{owner}")
        assert found is not None
        assert found.status == "failed"
    await store.close()


@pytest.mark.parametrize("damaged", [b"\xff no message", b""])
async def test_a_damaged_record_fails_with_what_is_known_of_it_and_harms_no_other(
    tmp_path: Path, damaged: bytes
) -> None:
    store = await open_again(tmp_path)
    await store.create(running("resp_1")[0])
    await store.finish("resp_1", "completed", running("resp_1")[0].response)
    await store.create(replace(running("resp_2")[0], parent_id="resp_1", response=damaged))
    await store.create(running("resp_3")[0])
    assert await fail_unfinished(store) == 2
    found = await store.get("local", "resp_2")
    assert found is not None
    response = Response.FromString(found.response)
    assert (found.status, response.status) == ("failed", ResponseStatus.RESPONSE_STATUS_FAILED)
    assert (response.id, response.created_at, response.previous_response_id) == ("resp_2", NOW, "resp_1")
    assert (response.error.code, response.error.message) == ("server_error", CRASHED)
    assert not response.output
    third = await store.get("local", "resp_3")
    assert third is not None
    assert Response.FromString(third.response).model == "scripted"
    await store.close()
