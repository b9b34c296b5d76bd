"""The life of a connection: its limits, its end, and what happens to a response that runs meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from common.settings import Settings
from facade.patience import Patience
from facade.server import Facade
from tests.facade import scripts
from tests.facade.conftest import StartFacade
from tests.facade.fake_service import WAIT, FakeService, Step
from tests.facade.websocket.conftest import Connect
from tests.facade.websocket.test_handshake import UPGRADE
from tests.support.talk import Talk

LIMIT = "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue."


class Clock:
    """An hour that is over when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self.over.wait()


def held() -> list[Step]:
    """A response that waits in its middle."""
    whole = scripts.text("one", "two")
    return [*whole[:5], WAIT, *whole[5:]]


async def test_after_an_hour_the_connection_ends_with_the_error_of_the_specification(
    start_facade: StartFacade, connect: Connect
) -> None:
    clock = Clock()
    talk = await connect(await start_facade(Patience(sleep=clock.sleep)))
    clock.over.set()
    (event,) = await talk.hear()
    assert event == {
        "type": "error",
        "status": 400,
        "error": {
            "code": "websocket_connection_limit_reached",
            "message": LIMIT,
            "type": "invalid_request_error",
            "param": None,
        },
    }
    assert await talk.end() == 1000
    assert clock.asked == [3600.0]


async def test_a_response_that_runs_then_is_told_to_its_end_and_no_other_begins(
    service: FakeService, start_facade: StartFacade, connect: Connect
) -> None:
    clock = Clock()
    service.script = held()
    talk = await connect(await start_facade(Patience(sleep=clock.sleep)))
    await talk.send(input="hi")
    await talk.send(input="and this?")
    await service.waiting.wait()
    clock.over.set()
    service.go.set()
    assert (await talk.hear())[-1]["type"] == "response.completed"
    assert (await talk.hear())[0]["error"]["code"] == "websocket_connection_limit_reached"
    assert await talk.end() == 1000
    assert len(service.requests) == 1


@pytest.mark.parametrize("way", ["close", "abort"])
async def test_a_client_that_leaves_cancels_its_response(way: str, service: FakeService, talk: Talk) -> None:
    service.script = held()
    await talk.send(input="hi")
    await service.waiting.wait()
    if way == "close":
        await talk.socket.close()
    else:
        talk.abort()
    await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_a_message_that_is_too_long_is_refused_and_the_connection_stays(
    service: FakeService, start_facade: StartFacade, connect: Connect
) -> None:
    service.script = scripts.text("Hi")
    talk = await connect(await start_facade(max_body_bytes=1024))
    assert await talk.refusal(input="x" * 1024) == (413, "request_too_large", None)
    assert (await talk.ask(input="hi"))[-1]["type"] == "response.completed"


async def test_one_that_is_far_too_long_ends_the_connection(start_facade: StartFacade, connect: Connect) -> None:
    talk = await connect(await start_facade(max_body_bytes=1024))
    await talk.send(input="x" * 2048)
    assert await talk.end() == 1009


@pytest.fixture
async def stoppable(service: FakeService, free_port: Callable[[], int]) -> tuple[Facade, str]:
    """A facade that the test stops, and its URL."""
    settings = Settings(http_port=free_port(), grpc_port=service.port, grace_seconds=5)
    facade = Facade(settings)
    await facade.start()
    return facade, settings.http_url


async def test_a_stop_closes_idle_connections_at_once(stoppable: tuple[Facade, str], connect: Connect) -> None:
    facade, url = stoppable
    talks = [await connect(url) for _ in range(3)]
    ends = [asyncio.create_task(talk.end()) for talk in talks]
    assert await asyncio.wait_for(facade.stop(), 5)
    assert await asyncio.gather(*ends) == [1001] * 3


async def test_a_stop_waits_for_the_running_response_and_takes_no_other(
    stoppable: tuple[Facade, str], service: FakeService, connect: Connect
) -> None:
    facade, url = stoppable
    service.script = held()
    talk = await connect(url)
    await talk.send(input="hi")
    await talk.send(input="and this?")
    await service.waiting.wait()
    stopping = asyncio.create_task(facade.stop())
    await asyncio.sleep(0)
    service.go.set()
    assert (await talk.hear())[-1]["type"] == "response.completed"
    assert await talk.end() == 1001
    assert await stopping
    assert len(service.requests) == 1


async def test_a_client_that_reads_nothing_holds_up_no_other(service: FakeService, url: str, connect: Connect) -> None:
    pieces = ["word " * 20_000] * 100
    service.script = [*scripts.text(*pieces), WAIT]
    slow, other = await connect(url), await connect(url)
    await slow.send(input="hi")
    service.script = scripts.text("Hi")
    assert (await other.ask(input="hi"))[-1]["type"] == "response.completed"
    assert not service.waiting.is_set()
    assert (await slow.hear())[-1]["type"] == "response.completed"
    service.go.set()


async def test_pings_are_answered_also_while_a_response_runs(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = held()
    async with http.ws_connect(f"{url}/v1/responses", autoping=False) as socket:
        talk = Talk(socket)
        await talk.send(input="hi")
        await service.waiting.wait()
        await socket.ping(b"there?")
        while (message := await asyncio.wait_for(socket.receive(), 5)).type is not aiohttp.WSMsgType.PONG:
            assert message.type is aiohttp.WSMsgType.TEXT
        assert message.data == b"there?"


async def test_a_silent_connection_is_pinged(start_facade: StartFacade, http: aiohttp.ClientSession) -> None:
    url = await start_facade(keep_alive_ms=20)
    async with http.ws_connect(f"{url}/v1/responses", autoping=False) as socket:
        assert (await asyncio.wait_for(socket.receive(), 5)).type is aiohttp.WSMsgType.PING


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection after its handshake, for what no client sends, or one that says nothing."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{name}: {value}" for name, value in {"Host": "a", **UPGRADE}.items()]
    writer.write("\r\n".join(["GET /v1/responses HTTP/1.1", *lines, "", ""]).encode())
    await reader.readuntil(b"\r\n\r\n")
    yield reader, writer
    writer.close()


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\xc1\x80\0\0\0\0", id="reserved bit"),
        pytest.param(b"\x80\x80\0\0\0\0", id="continuation of nothing"),
        pytest.param(b"\x89\xfe\0\x7e\0\0\0\0" + b"x" * 126, id="long ping"),
        pytest.param(b"\x83\x80\0\0\0\0", id="unknown opcode"),
    ],
)
async def test_what_is_no_websocket_any_more_is_closed_with_a_protocol_error(frame: bytes, url: str) -> None:
    async with raw(url) as (reader, writer):
        writer.write(frame)
        assert await asyncio.wait_for(reader.read(), 5) == b"\x88\x02\x03\xea"


async def test_a_peer_that_answers_no_ping_is_given_up(service: FakeService, start_facade: StartFacade) -> None:
    async with raw(await start_facade(Patience(silence=0.2), keep_alive_ms=100)) as (reader, _):
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"\x89\x00")  # a ping


async def test_a_stop_does_not_wait_for_a_peer_that_answers_no_close(stoppable: tuple[Facade, str]) -> None:
    facade, url = stoppable
    async with raw(url) as (reader, _):
        assert await asyncio.wait_for(facade.stop(), 4)
        assert b"The server is stopping." in await reader.read()


async def test_one_that_answers_pings_stays(service: FakeService, start_facade: StartFacade, connect: Connect) -> None:
    whole = scripts.text("one", "two")
    service.script = [*whole[:5], 0.6, *whole[5:]]
    talk = await connect(await start_facade(Patience(silence=0.3), keep_alive_ms=100))
    assert (await talk.ask(input="hi"))[-1]["type"] == "response.completed"


async def test_the_log_has_a_line_for_each_turn_and_one_for_the_connection(
    stoppable: tuple[Facade, str], service: FakeService, connect: Connect
) -> None:
    facade, url = stoppable
    service.script = scripts.text("Hi")
    with capture_logs(processors=[merge_contextvars]) as lines:
        talk = await connect(url, headers={"x-request-id": "mine"})
        await talk.ask(input="hi")
        await talk.refusal(input="hi", bogus=1)
        await talk.socket.close()
        await facade.stop()
    first, second, connection = lines
    assert (first["event"], first["request_id"], first["connection"]) == ("turn", "mine-1", "mine")
    assert (first["status"], first["response_id"], first["output_tokens"]) == (200, "resp_1", 3)
    assert (second["request_id"], second["status"], second["reason"]) == ("mine-2", 400, "UNKNOWN_PARAMETER")
    assert (connection["status"], connection["turns"], connection["route"]) == (101, 2, "/v1/responses")


async def test_a_client_that_leaves_after_the_last_event_had_its_answer(service: FakeService, talk: Talk) -> None:
    """However long the service takes to end the call."""
    service.script = [*scripts.text("Hi"), WAIT]
    with capture_logs() as lines:
        await talk.ask(input="hi")
        await talk.socket.close()
        await service.cancelled.wait()
    [line] = [line for line in lines if line["event"] == "turn"]
    assert (line["status"], line["output_tokens"]) == (200, 3)
