"""How long the facade waits for a client that is slow or silent. It knows nothing else of clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """In seconds. `head`: from the connection to the first request's headers. `body`: for all of a request's body.

    Of a WebSocket, `silence`: after a ping, without a word. `connection`: from its beginning to its end; `sleep`
    waits for that.
    """

    head: float = 30.0
    body: float = 60.0
    silence: float = 120.0
    connection: float = 3600.0
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
