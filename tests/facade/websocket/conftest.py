"""Conversations with a facade in front of the fake service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.support.talk import Talk

Connect = Callable[..., Awaitable[Talk]]


@pytest.fixture
async def connect(http: aiohttp.ClientSession) -> AsyncIterator[Connect]:
    """Opens a WebSocket to a facade, with whatever the handshake is to say."""
    async with AsyncExitStack() as stack:

        async def open(url: str, **options: Any) -> Talk:
            return Talk(await stack.enter_async_context(http.ws_connect(f"{url}/v1/responses", **options)))

        yield open


@pytest.fixture
async def talk(url: str, connect: Connect) -> Talk:
    """A conversation with default settings."""
    return await connect(url)
