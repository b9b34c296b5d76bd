"""Callers that leave, calls that end early, and calls at the same time, shown with a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from answerd.v1 import model_pb2
from service.interceptors import current_call
from tests.service.raw_calls import failure_of, owners, raising, serving


async def test_a_cancellation_of_our_own_making_ends_the_call_with_a_status() -> None:
    get, create = raising(asyncio.CancelledError())
    async with serving(get, create) as served:
        for call in (served.get(), served.create()):
            assert (await failure_of(call)).code() is grpc.StatusCode.INTERNAL


async def test_calls_at_the_same_time_do_not_mix() -> None:
    both = asyncio.Barrier(2)

    async def get(request: Any, context: Any) -> model_pb2.Model:
        await both.wait()
        call = current_call()
        return model_pb2.Model(id=call.request_id, owned_by=call.owner)

    async with serving(get, owner_of=owners) as served:
        calls = [
            served.get(metadata=(("authorization", f"Bearer key-{name}"), ("x-request-id", name))) for name in "ab"
        ]
        models = [model_pb2.Model.FromString(await call) for call in calls]
        assert [(model.id, model.owned_by) for model in models] == [("a", "ann"), ("b", "bob")]


@pytest.mark.parametrize("kind", ["get", "create"])
async def test_a_caller_that_leaves_ends_the_method_and_is_logged(kind: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def get(request: Any, context: Any) -> model_pb2.Model:
        await wait()
        return model_pb2.Model()

    async def create(request: Any, context: Any) -> AsyncIterator[model_pb2.Model]:
        yield model_pb2.Model()
        await wait()

    async with serving(get, create) as served:
        call = served.get() if kind == "get" else served.create()
        if kind == "create":
            await call.read()
        await asyncio.wait_for(begun.wait(), 10)
        call.cancel()
        await asyncio.wait_for(ended.wait(), 10)
        assert (await served.lines.call())["code"] == "CANCELLED"
        assert [line["level"] for line in served.lines.kept] == ["info"]


async def test_a_caller_that_leaves_a_stream_which_it_does_not_read_ends_it() -> None:
    """The method is then suspended at a yield, and is closed instead of cancelled."""
    ended = asyncio.Event()

    async def create(request: Any, context: Any) -> AsyncIterator[model_pb2.Model]:
        try:
            while True:
                yield model_pb2.Model(id="x" * 100_000)
        finally:
            ended.set()

    async with serving(create=create) as served:
        call = served.create(metadata=(("x-request-id", "mine"),))
        await call.read()
        call.cancel()
        await asyncio.wait_for(ended.wait(), 10)
        line = await served.lines.call()
        assert (line["code"], line["request_id"]) == ("CANCELLED", "mine")
        assert [line["level"] for line in served.lines.kept] == ["info"]


async def test_callers_that_leave_at_once_are_no_failures() -> None:
    async with serving() as served:
        for _ in range(50):
            served.get().cancel()
            served.create().cancel()
        assert await served.get()
        assert [line for line in served.lines.kept if line["level"] == "error"] == []


async def test_a_deadline_that_passes_is_logged_as_such() -> None:
    async def get(request: Any, context: Any) -> None:
        await asyncio.Event().wait()

    async with serving(get) as served:
        assert (await failure_of(served.get(timeout=0.2))).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await served.lines.call())["code"] == "DEADLINE_EXCEEDED"
