"""A stop signal that meets requests on their way into the engine: what was taken is answered, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from answerd.v1.response_pb2 import ResponseStatus
from service.running import RunningResponses
from service.store import Store
from tests.service.conftest import ANSWERS
from tests.service.failing_store import FailingStore
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, refusal, serving, text_of
from tests.service.test_server import NOT_SERVING, until_health_is


@asynccontextmanager
async def being_admitted(folder: Path) -> AsyncIterator[tuple[Served, Any, asyncio.Event]]:
    """A server, a call whose history is being read, and what lets the reading go on."""
    stores: list[FailingStore] = []

    def wrap(store: Store) -> Store:
        stores.append(FailingStore(store))
        return stores[0]

    async with serving(folder, ANSWERS, wrap=wrap) as served:
        parent = await served.answer("hi")
        asked, released = stores[0].held["chain"] = asyncio.Event(), asyncio.Event()
        call = served.create("hi hi", previous_response_id=parent.id)
        await asyncio.wait_for(asked.wait(), WAIT)
        yield served, call, released


async def test_a_request_that_is_being_admitted_gets_the_grace(tmp_path: Path) -> None:
    async with being_admitted(tmp_path) as (served, call, released):
        stopping = asyncio.create_task(served.server.stop(grace=WAIT))
        await until_health_is(served.channel, NOT_SERVING)
        # The server still answers others, as it does while responses run.
        assert (await refusal(served.create("hi"))).reason == "UNAVAILABLE"
        released.set()
        response = final([event async for event in call])
        await stopping
        assert (response.status, text_of(response)) == (ResponseStatus.RESPONSE_STATUS_COMPLETED, "hi again")
        record = await served.store.get("local", response.id)
        assert record is not None
        assert record.status == "completed"


async def test_a_request_that_is_admitted_after_the_grace_fails_with_the_reason(tmp_path: Path) -> None:
    async with being_admitted(tmp_path) as (served, call, released):
        served.gate.hold_after(0)
        stopping = asyncio.create_task(served.server.stop(grace=0))
        await until_health_is(served.channel, NOT_SERVING)
        released.set()
        served.gate.open()
        response = final([event async for event in call])
        await stopping
        assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
        assert response.error.message == "the server was stopped"


async def test_the_end_of_all_responses_is_also_the_end_of_their_admission() -> None:
    running = RunningResponses()
    with running.admission():
        with running.admission():
            pass
        assert not await running.ended(within=0)
    assert await running.ended(within=0)
