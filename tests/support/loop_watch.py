"""Fails a test in which our code blocks the event loop, even where something swallowed the error.

It knows which calls block (blockbuster's list) and from which packages; what is allowed stands here with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from blockbuster import BlockBuster, BlockingError


@contextmanager
def watched_loop(packages: Sequence[str]) -> Iterator[BlockBuster]:
    """Within it, a blocking call made by one of `packages` on the thread of a running event loop raises at once;
    at the end AssertionError names every one."""
    seen: list[str] = []

    class Noted(BlockingError):
        def __init__(self, call: str) -> None:
            super().__init__(call)
            seen.append(call)

    watch = BlockBuster(packages)
    with patch("blockbuster.blockbuster.BlockingError", Noted):
        watch.activate()
        try:
            yield watch
        finally:
            watch.deactivate()
    assert not seen, f"the event loop was blocked by {', '.join(seen)}"
