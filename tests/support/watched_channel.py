"""A gRPC channel on which every stream of events is recorded, to be checked when the test is over.

Calls stay gRPC's own: an event is noted where its bytes are read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc

from answerd.v1.event_pb2 import ResponseEvent
from tests.support.event_json import event_json
from tests.support.replies import check_events_of


class WatchedChannel:
    """Stands for `channel`, of either of gRPC's APIs, where stubs are made."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._streams: list[list[bytes]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **kwargs: Any
    ) -> Callable[..., Any]:
        if response_deserializer != ResponseEvent.FromString:
            made: Callable[..., Any] = self._channel.unary_stream(
                method, request_serializer, response_deserializer, **kwargs
            )
            return made

        def call(*arguments: Any, **options: Any) -> Any:
            seen: list[bytes] = []
            self._streams.append(seen)

            def read(data: bytes) -> ResponseEvent:
                seen.append(data)
                return ResponseEvent.FromString(data)

            return self._channel.unary_stream(method, request_serializer, read, **kwargs)(*arguments, **options)

        return call

    def check(self) -> None:
        """Raises AssertionError for the first stream that breaks the contract."""
        for seen in self._streams:
            check_events_of([event_json(ResponseEvent.FromString(data)) for data in seen])


@asynccontextmanager
async def watched_channel(address: str, **options: Any) -> AsyncIterator[grpc.aio.Channel]:
    """A channel of gRPC's asynchronous API, whose streams are checked if the test goes well until it is closed."""
    async with grpc.aio.insecure_channel(address, **options) as channel:
        watched = WatchedChannel(channel)
        yield cast("grpc.aio.Channel", watched)
    watched.check()
