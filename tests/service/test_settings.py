"""What the settings say reaches the parts of a running service."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input
from answerd.v1.model_pb2 import ListModelsRequest
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from answerd.v1.stored_response_pb2 import GetResponseRequest
from common.settings import Settings, load_settings
from inference.types import ModelFileError
from service.__main__ import run
from service.models.loading import PreparedModel, Report
from service.models.spec import ModelSpec
from service.store import SECONDS_A_DAY, Bounds, Record, open_store
from tests.service.scripted_model import WAIT
from tests.service.scripted_service import prepare_scripted
from tests.service.served import final
from tests.service.test_server import SERVING, until_health_is
from tests.support.processes import Processes
from tests.support.watched_channel import watched_channel

if TYPE_CHECKING:  # a name of the stubs only
    from answerd.v1.responses_service_pb2_grpc import ResponsesServiceAsyncStub

Start = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'responses.db'}"


@pytest.fixture
def started(store: str, free_port: Callable[[], int]) -> Start:
    """Runs a service whose settings are environment variables, here without their prefix and in lower case."""

    @asynccontextmanager
    async def start(**variables: int) -> AsyncIterator[ResponsesServiceAsyncStub]:
        given = {"grpc_port": free_port(), "store": store, "slots": 2, "context": 128, **variables}
        settings = load_settings([], {f"ANSWERD_{name.upper()}": str(value) for name, value in given.items()})
        running = asyncio.create_task(run(settings, prepare_scripted))
        async with watched_channel(settings.grpc_address) as channel:
            await channel.channel_ready()
            await until_health_is(channel, SERVING)
            yield ResponsesServiceStub(channel)
            os.kill(os.getpid(), signal.SIGTERM)
        await running

    return start


async def is_kept(stub: ResponsesServiceAsyncStub, id: str) -> bool:
    call = stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    code = await call.code()
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND)
    return code is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({}, [True, True, True]),
        ({"store_max_responses": 2}, [False, True, True]),
        ({"store_max_bytes": 1}, [False, False, True]),  # the last one until the next begins
    ],
)
async def test_the_oldest_go_beyond_the_bounds(started: Start, variables: dict[str, int], kept: list[bool]) -> None:
    async with started(**variables) as stub:
        ids = []
        for _ in range(3):
            call = stub.CreateResponse(CreateResponseRequest(input=Input(text="hi")), timeout=WAIT)
            ids.append(final([event async for event in call]).id)
        assert [await is_kept(stub, id) for id in ids] == kept


@pytest.mark.parametrize(("days", "kept"), [(1, False), (3, True)])
async def test_a_response_expires_after_the_days_of_the_setting(
    started: Start, store: str, days: int, kept: bool
) -> None:
    created = int(time.time()) - 2 * SECONDS_A_DAY
    before = await open_store(store, Bounds(), lambda: float(created))
    response = Response(id="resp_old", created_at=created).SerializeToString()
    await before.create(Record(id="resp_old", owner="local", created_at=created, request=b"", response=response))
    await before.close()
    async with started(store_max_age_days=days) as stub:
        assert await is_kept(stub, "resp_old") is kept


async def test_a_request_without_a_budget_gets_that_of_the_setting(started: Start) -> None:
    async with started(max_output_tokens=3) as stub:
        call = stub.CreateResponse(CreateResponseRequest(input=Input(text="hi")), timeout=WAIT)
        response = final([event async for event in call])
    assert response.status == ResponseStatus.RESPONSE_STATUS_INCOMPLETE
    assert response.usage.output_tokens == 3


async def test_more_choices_than_slots_and_queue_hold_are_refused(started: Start) -> None:
    async with started(queue=1) as stub:
        most, more = (CreateResponseRequest(input=Input(text="hi"), n_choices=choices) for choices in (3, 4))
        assert len(final([event async for event in stub.CreateResponse(most, timeout=WAIT)]).output) == 3
        assert await stub.CreateResponse(more, timeout=WAIT).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_model_beyond_the_memory_of_the_setting_is_refused(store: str, free_port: Callable[[], int]) -> None:
    def prepare(spec: ModelSpec, settings: Settings, report: Report) -> PreparedModel:
        return replace(prepare_scripted(spec, settings, report), needs=1001)

    settings = Settings(grpc_port=free_port(), store=store, slots=2, context=128, models_memory=1000)
    with pytest.raises(ModelFileError, match="it takes 1001 bytes and ANSWERD_MODELS_MEMORY is 1000"):
        await asyncio.wait_for(run(settings, prepare), WAIT)


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("error", 0)])
async def test_a_call_is_logged_if_the_level_says_so(
    store: str, free_port: Callable[[], int], processes: Processes, level: str, lines: int
) -> None:
    address = f"127.0.0.1:{free_port()}"
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join([".", "proto"]),
        "ANSWERD_GRPC_PORT": address.rpartition(":")[2],
        "ANSWERD_STORE": store,
        "ANSWERD_LOG_LEVEL": level,
        "ANSWERD_LOG_FORMAT": "json",
    }
    process = processes.start(
        [sys.executable, "-m", "tests.service.scripted_service"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with watched_channel(address) as channel:
        await channel.channel_ready()
        await until_health_is(channel, SERVING)
        await ResponsesServiceStub(channel).ListModels(ListModelsRequest(), timeout=WAIT)
        process.send_signal(signal.SIGTERM)
        told, _ = await asyncio.to_thread(process.communicate, timeout=WAIT)
    assert told.count('"event": "call"') == lines
