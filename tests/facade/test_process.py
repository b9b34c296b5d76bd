"""The process itself: where it says it listens, why it does not start, how it stops."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.facade import scripts
from tests.facade.fake_service import WAIT, FakeService
from tests.support.event_order import check_events
from tests.support.sse import parse_frames

ROOT = Path(__file__).parents[2]
Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts the process with the given variables; whatever still runs after the test is killed."""
    async with AsyncExitStack() as stack:

        async def run(**variables: str) -> Process:
            environ = {key: value for key, value in os.environ.items() if not key.startswith("ANSWERD_")}
            paths = os.pathsep.join([str(ROOT), str(ROOT / "proto")])
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "facade",
                env={**environ, "PYTHONPATH": paths, **variables},
                stdout=PIPE,
                stderr=STDOUT,
            )
            stack.push_async_callback(end, process)
            return process

        yield run


async def end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode()


@pytest.fixture
def ports(service: FakeService, free_port: Callable[[], int]) -> dict[str, str]:
    return {"ANSWERD_HTTP_PORT": str(free_port()), "ANSWERD_GRPC_PORT": str(service.port)}


async def test_it_says_where_it_listens_and_stops_cleanly(start: Start, ports: dict[str, str]) -> None:
    process = await start(**ports)
    assert f"http://127.0.0.1:{ports['ANSWERD_HTTP_PORT']}" in await line_of(process)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_stop_lets_a_running_stream_finish_and_takes_no_new_one(
    service: FakeService, start: Start, ports: dict[str, str], http: aiohttp.ClientSession
) -> None:
    process = await start(**ports)
    await line_of(process)
    url = f"http://127.0.0.1:{ports['ANSWERD_HTTP_PORT']}"
    service.script = [*scripts.text("one", "two")[:5], WAIT, *scripts.text("one", "two")[5:]]
    async with http.post(f"{url}/v1/responses", json={"input": "hi", "stream": True}) as reply:
        await service.waiting.wait()
        process.send_signal(signal.SIGTERM)
        await until_stopping(http, url)
        async with http.post(f"{url}/v1/responses", json={"input": "hi"}) as refused:
            assert (refused.status, refused.headers["Retry-After"], refused.headers["Connection"]) == (
                503,
                "1",
                "close",
            )
            assert (await refused.json())["error"]["code"] == "unavailable"
        assert len(service.requests) == 1
        assert process.returncode is None
        service.go.set()
        check_events(parse_frames(await reply.read()))
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def until_stopping(http: aiohttp.ClientSession, url: str) -> None:
    """Asks until it says so; only then has it taken the signal."""
    async with asyncio.timeout(10):
        while True:
            async with http.get(f"{url}/readyz") as reply:
                if reply.status == 503:
                    return


async def test_a_stop_does_not_wait_for_a_body_that_does_not_come(start: Start, ports: dict[str, str]) -> None:
    process = await start(**ports)
    await line_of(process)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(ports["ANSWERD_HTTP_PORT"]))
    # The interim answer tells that the request has reached its handler.
    writer.write(b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n{")
    assert b"100" in await asyncio.wait_for(reader.readline(), 10)
    process.send_signal(signal.SIGTERM)
    said, _ = await asyncio.wait_for(process.communicate(), 10)
    writer.close()
    assert (process.returncode, b"cut off" in said) == (0, False)


async def test_it_says_once_when_the_service_is_ready(
    service: FakeService, start: Start, ports: dict[str, str]
) -> None:
    await service.set_serving(False)
    process = await start(**ports)
    url = f"http://127.0.0.1:{ports['ANSWERD_HTTP_PORT']}"
    assert await line_of(process) == (
        f"answerd: HTTP: listening on {url}; waiting for the service at 127.0.0.1:{ports['ANSWERD_GRPC_PORT']}.\n"
    )
    await service.set_serving(True)
    assert await line_of(process) == f"answerd: ready: POST {url}/v1/responses\n"
    process.send_signal(signal.SIGTERM)
    said, _ = await asyncio.wait_for(process.communicate(), 10)
    assert said == b""


async def test_a_second_signal_ends_it_at_once(
    service: FakeService, start: Start, ports: dict[str, str], http: aiohttp.ClientSession
) -> None:
    process = await start(**ports)
    await line_of(process)
    url = f"http://127.0.0.1:{ports['ANSWERD_HTTP_PORT']}"
    service.script = [*scripts.text("one")[:5], WAIT]
    async with http.post(f"{url}/v1/responses", json={"input": "hi", "stream": True}):
        await service.waiting.wait()
        process.send_signal(signal.SIGTERM)
        await until_stopping(http, url)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 5) == -signal.SIGTERM


async def test_a_taken_port_is_one_sentence_that_names_the_setting(start: Start, ports: dict[str, str]) -> None:
    first = await start(**ports)
    await line_of(first)
    second = await start(**ports)
    said, _ = await asyncio.wait_for(second.communicate(), 30)
    port = ports["ANSWERD_HTTP_PORT"]
    assert said.decode() == f"answerd: ANSWERD_HTTP_PORT: port {port} on 127.0.0.1 is already in use.\n"
    assert second.returncode == 1


async def test_a_host_of_another_machine_is_one_sentence_too(start: Start, ports: dict[str, str]) -> None:
    process = await start(**ports, ANSWERD_HOST="192.0.2.1", ANSWERD_ALLOW_REMOTE="true")
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert said.decode().startswith("answerd: ANSWERD_HOST: 192.0.2.1 cannot be listened on")
    assert (said.count(b"\n"), process.returncode) == (1, 1)


async def test_a_wrong_setting_is_one_sentence(start: Start) -> None:
    process = await start(ANSWERD_KEEP_ALIVE_MS="soon")
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert b"ANSWERD_KEEP_ALIVE_MS" in said
    assert (said.count(b"\n"), process.returncode) == (1, 2)


@pytest.mark.parametrize("streamed", [True, False])
async def test_each_request_is_one_line_of_the_log_without_its_text(
    service: FakeService, start: Start, ports: dict[str, str], http: aiohttp.ClientSession, streamed: bool
) -> None:
    process = await start(**ports)
    await line_of(process)
    service.script = scripts.text("a secret answer")
    url = f"http://127.0.0.1:{ports['ANSWERD_HTTP_PORT']}/v1/responses?token=secret"
    async with http.post(url, json={"input": "a secret question", "stream": streamed}) as reply:
        request_id = reply.headers["x-request-id"]
        await reply.read()
    process.send_signal(signal.SIGTERM)
    said, _ = await process.communicate()
    [line] = [json.loads(line) for line in said.decode().splitlines() if request_id in line]
    for changing in ("duration_ms", "timestamp"):
        assert line.pop(changing)
    sent = scripts.text("a secret answer")
    usage = sent[-1].completed.response.usage
    assert line == {
        "component": "facade",
        "event": "request",
        "level": "info",
        "method": "POST",
        "route": "/v1/responses",
        "path": "/v1/responses",
        "status": 200,
        "stream": streamed,
        "request_id": request_id,
        "response_id": sent[-1].completed.response.id,
        "events": len(sent),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }
    assert b"secret" not in said


async def test_a_line_of_the_log_tells_routes_apart_from_paths(
    start: Start, ports: dict[str, str], http: aiohttp.ClientSession
) -> None:
    process = await start(**ports)
    await line_of(process)
    for path in ("/v1/responses/resp_1", "/elsewhere"):
        async with http.get(f"http://127.0.0.1:{ports['ANSWERD_HTTP_PORT']}{path}") as reply:
            assert reply.status == 404
    process.send_signal(signal.SIGTERM)
    said, _ = await process.communicate()
    lines = [json.loads(line) for line in said.decode().splitlines() if '"request"' in line]
    assert [(line.get("route"), line["path"], line["status"]) for line in lines] == [
        ("/v1/responses/{id}", "/v1/responses/resp_1", 404),
        (None, "/elsewhere", 404),
    ]


async def test_a_request_is_not_logged_above_its_level(
    start: Start, ports: dict[str, str], http: aiohttp.ClientSession
) -> None:
    process = await start(**ports, ANSWERD_LOG_LEVEL="error")
    await line_of(process)
    async with http.get(f"http://127.0.0.1:{ports['ANSWERD_HTTP_PORT']}/elsewhere") as reply:
        assert reply.status == 404
    process.send_signal(signal.SIGTERM)
    said, _ = await process.communicate()
    assert b'"request"' not in said
