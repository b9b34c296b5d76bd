"""Fixtures of the service's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.served import Served, serving

LONG = "x" * 200
ANSWERS = {"hi": "hello", "hi hi": "hi again", "long": LONG, "nothing": ""}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that answers `hi`, `hi hi`, `long` (200 tokens) and `nothing`."""
    async with serving(tmp_path, ANSWERS) as served:
        yield served
