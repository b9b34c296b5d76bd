"""Clients over HTTP who lose their connection and ask again with their key."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.facade.whole import Whole
from tests.service.conftest import LONG
from tests.service.failing_store import FailingStore
from tests.service.scripted_model import WAIT
from tests.service.served import settled
from tests.support.replies import CheckedReply, check_whole_stream
from tests.support.sse import parse_frames

KEY = {"Idempotency-Key": "once"}


async def lose(harmed: tuple[Whole, FailingStore], streamed: bool) -> None:
    """A client asks for a long response with its key, and is gone in the middle of it; facade and service know."""
    made, store = harmed
    made.served.gate.hold_after(3)
    asked, released = store.held["create"] = asyncio.Event(), asyncio.Event()
    url = f"{made.url}/v1/responses"
    async with aiohttp.ClientSession(response_class=CheckedReply) as session:
        asking = asyncio.ensure_future(session.post(url, json={"input": "long", "stream": streamed}, headers=KEY))
        await asyncio.wait_for(asked.wait(), WAIT)
        released.set()
        del store.held["create"]
        if streamed:
            reply = await asking
            await reply.content.readuntil(b"response.output_text.delta")
            reply.close()
        asking.cancel()
    async with aiohttp.ClientSession(response_class=CheckedReply) as session:
        # The end of a connection, and of a call, comes before what is asked after it.
        for _ in range(2):
            async with session.get(f"{url}/resp_no") as reply:
                assert reply.status == 404


@pytest.mark.parametrize("ended", [False, True], ids=["while it runs", "when it has ended"])
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_who_lost_the_connection_asks_again_and_gets_the_whole_answer(
    harmed: tuple[Whole, FailingStore], http: aiohttp.ClientSession, streamed: bool, ended: bool
) -> None:
    served = harmed[0].served
    await lose(harmed, streamed)
    [response] = await served.store.unfinished()
    if ended:
        served.gate.open()
        await settled(served)
    body = {"input": "long", "stream": streamed}
    asking = asyncio.ensure_future(http.post(f"{harmed[0].url}/v1/responses", json=body, headers=KEY))
    if streamed:
        await asking
    served.gate.open()
    async with await asking as reply:
        assert reply.status == 200
        if streamed:
            events = parse_frames(await reply.read())
            check_whole_stream(events)
            answer = events[-1]["response"]
        else:
            answer = await reply.json()
    assert (answer["id"], answer["status"]) == (response.id, "completed")
    assert answer["output"][0]["content"][0]["text"] == LONG
    assert (await served.store.counts()).records == 1
