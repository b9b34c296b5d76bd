"""The process: it starts or says why not, and a signal stops it, be it loading, serving or stuck."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.response_pb2 import ResponseStatus
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from common.settings import Settings
from inference.types import EngineStopped, ModelFileError
from service.__main__ import run
from service.models.loading import PreparedModel, Report
from service.models.spec import ModelSpec
from tests.service.scripted_model import WAIT
from tests.service.scripted_service import prepare_scripted
from tests.service.served import final, read_until, text_of
from tests.service.test_server import SERVING, until_health_is
from tests.support.processes import Processes
from tests.support.watched_channel import watched_channel


@pytest.fixture
def settings(tmp_path: Path, free_port: Callable[[], int]) -> Settings:
    return Settings(
        grpc_port=free_port(), store=f"sqlite:///{tmp_path / 'responses.db'}", context=4096, slots=2, grace_seconds=WAIT
    )


def request(text: str = "hi") -> CreateResponseRequest:
    request = CreateResponseRequest()
    request.input.text = text
    return request


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_it_serves_until_a_stop_signal_and_then_lets_a_response_finish(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(run(settings, prepare_scripted))
    async with watched_channel(settings.grpc_address) as channel:
        await channel.channel_ready()
        await until_health_is(channel, SERVING)
        call = ResponsesServiceStub(channel).CreateResponse(request(), timeout=WAIT)
        events = await read_until(call, "created")
        stop()
        events += [event async for event in call]
    await running
    assert final(events).status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    assert text_of(final(events)) == "hello"
    said = capsys.readouterr().out
    for part in (settings.grpc_address, settings.store, "serving scripted on a script (for tests)", "stopping"):
        assert part in said


async def test_a_context_that_the_model_does_not_have_is_told(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(spec: ModelSpec, settings: Settings, report: Report) -> PreparedModel:
        return prepare_scripted(replace(spec, context=512), settings, report)

    running = asyncio.create_task(run(settings, prepare))
    async with watched_channel(settings.grpc_address) as channel:
        await channel.channel_ready()
        await until_health_is(channel, SERVING)
    stop()
    await running
    said = capsys.readouterr().out
    assert "ANSWERD_CONTEXT is 4096; the model's own context is 512." in said
    assert "2 slots of 512 tokens." in said
    assert "the service is ready" in said


async def test_a_cache_that_may_outgrow_the_memory_is_told(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(spec: ModelSpec, settings: Settings, report: Report) -> PreparedModel:
        prepared = prepare_scripted(spec, settings, report)
        return replace(prepared, load=lambda: replace(prepared.load(), shortage="Memory may become short."))

    running = asyncio.create_task(run(settings, prepare))
    async with watched_channel(settings.grpc_address) as channel:
        await channel.channel_ready()
        await until_health_is(channel, SERVING)
    stop()
    await running
    assert "answerd: Memory may become short.\n" in capsys.readouterr().out


async def test_a_stop_signal_ends_the_loading_of_a_model(settings: Settings) -> None:
    never = threading.Event()

    def prepare(spec: ModelSpec, settings: Settings, report: Report) -> PreparedModel:
        stop()
        never.wait()
        raise AssertionError("nobody waits for this any more")

    try:
        await asyncio.wait_for(run(settings, prepare), WAIT)
    finally:
        never.set()


async def test_a_model_that_cannot_be_loaded_ends_the_start_and_frees_port_and_store(settings: Settings) -> None:
    def prepare(spec: ModelSpec, settings: Settings, report: Report) -> PreparedModel:
        raise ModelFileError("There is no such model.")

    for _ in range(2):
        with pytest.raises(ModelFileError, match="There is no such model"):
            await run(settings, prepare)


def started(processes: Processes, module: str, tmp_path: Path, **variables: str) -> subprocess.Popen[str]:
    """A service of its own process; variables are settings, without their prefix and in lower case."""
    given = {f"ANSWERD_{name.upper()}": value for name, value in variables.items()}
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([".", "proto"]),
        "ANSWERD_STORE": f"sqlite:///{tmp_path / 'responses.db'}",
        **given,
    }
    command = [sys.executable, "-m", module]
    return processes.start(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    ("setting", "content", "expected"),
    [
        ("model", b"no model at all", "model"),
        ("store", b"no database at all" * 100, "store"),
        ("api_keys_file", b"one-word-only", "keys"),
        ("grpc_port", None, "ANSWERD_GRPC_PORT) cannot be listened on: address already in use"),
        ("slots", None, "ANSWERD_SLOTS"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence_and_a_status(
    tmp_path: Path,
    free_port: Callable[[], int],
    processes: Processes,
    setting: str,
    content: bytes | None,
    expected: str,
) -> None:
    broken = tmp_path / f"broken-{setting}.gguf"
    broken.write_bytes(content or b"")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        values = {
            "store": f"sqlite:///{broken}",
            "grpc_port": str(taken.getsockname()[1]),
            "slots": "0",
        }
        variables = {"grpc_port": str(free_port()), setting: values.get(setting, str(broken))}
        process = started(processes, "service", tmp_path, **variables)
        _, told = process.communicate(timeout=WAIT)
    assert process.returncode == (2 if setting == "slots" else 1)
    assert told.startswith("answerd: ")
    assert told.count("\n") == 1
    assert expected in told


async def test_an_engine_that_breaks_for_good_ends_the_service(settings: Settings) -> None:
    """A table with no bytes for the tokens that come breaks the engine itself, not a call of its model."""
    serving = threading.Event()

    class Broken(list[bytes]):
        def __getitem__(self, index: Any) -> Any:
            # Others read it too: the grammars when the model is loaded, the event loop when a request is admitted.
            if serving.is_set() and threading.current_thread() is not threading.main_thread():
                raise RuntimeError("broken")
            return super().__getitem__(index)

    def prepare(spec: ModelSpec, settings: Settings, report: Report) -> PreparedModel:
        loaded = prepare_scripted(spec, settings, report).load()
        return PreparedModel(0, lambda: replace(loaded, token_bytes=Broken(loaded.token_bytes)))

    running = asyncio.create_task(run(settings, prepare))
    async with watched_channel(settings.grpc_address) as channel:
        await channel.channel_ready()
        await until_health_is(channel, SERVING)
        serving.set()
        events = [event async for event in ResponsesServiceStub(channel).CreateResponse(request(), timeout=WAIT)]
    assert final(events).status == ResponseStatus.RESPONSE_STATUS_FAILED
    with pytest.raises(EngineStopped, match="broke"):
        await asyncio.wait_for(running, WAIT)


async def test_a_second_service_on_the_same_store_is_refused(
    settings: Settings, tmp_path: Path, free_port: Callable[[], int], processes: Processes
) -> None:
    running = asyncio.create_task(run(settings, prepare_scripted))
    async with watched_channel(settings.grpc_address) as channel:
        await channel.channel_ready()
        second = started(processes, "service", tmp_path, grpc_port=str(free_port()))
        _, told = await asyncio.to_thread(second.communicate, timeout=WAIT)
    stop()
    await running
    assert second.returncode == 1
    assert told.startswith("answerd: ")
    assert "responses.db" in told


async def test_a_second_stop_signal_ends_a_stuck_service_at_once(
    tmp_path: Path, free_port: Callable[[], int], processes: Processes
) -> None:
    port = str(free_port())
    process = started(processes, "tests.service.scripted_service", tmp_path, grpc_port=port, log_level="error")
    assert process.stdout is not None
    async with watched_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        await until_health_is(channel, SERVING)
        call = ResponsesServiceStub(channel).CreateResponse(request("x" * 200), timeout=WAIT)
        await read_until(call, "in_progress")
        process.send_signal(signal.SIGTERM)
        while "stopping" not in await asyncio.to_thread(process.stdout.readline):
            pass
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, WAIT) == 128 + signal.SIGTERM
