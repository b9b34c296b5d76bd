"""A facade before a real service with a scripted model, store included, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.settings import Settings
from facade.server import Facade
from tests.service.served import Served, serving


@dataclass(frozen=True)
class Whole:
    """url: of the facade. served: the service behind it."""

    url: str
    served: Served


@asynccontextmanager
async def whole(
    folder: Path, free_port: Callable[[], int], answers: Mapping[str, str], **options: Any
) -> AsyncIterator[Whole]:
    """options: what `serving` takes."""
    async with serving(folder, answers, **options) as served:
        grpc_port = int(served.address.rpartition(":")[2])
        http_port = free_port()
        facade = Facade(Settings(http_port=http_port, grpc_port=grpc_port, grace_seconds=0))
        await facade.start()
        try:
            yield Whole(f"http://127.0.0.1:{http_port}", served)
        finally:
            await facade.stop()
