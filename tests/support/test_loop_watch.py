"""The watch over the event loop notices what blocks it, and what hides that it does."""

import asyncio
import time
from contextlib import suppress

import pytest
from blockbuster import BlockingError

from tests.support.loop_watch import watched_loop

OURS = ["tests.support.test_loop_watch"]


def block() -> None:
    time.sleep(0)


async def test_a_call_that_blocks_the_loop_raises_and_is_named() -> None:
    watching = watched_loop(OURS)
    with pytest.raises(AssertionError, match=r"blocked by time\.sleep"), watching, pytest.raises(BlockingError):
        block()


async def test_an_error_that_is_swallowed_fails_the_test_all_the_same() -> None:
    with pytest.raises(AssertionError, match="blocked"), watched_loop(OURS), suppress(Exception):
        block()


async def test_another_thread_may_block_and_so_may_other_packages() -> None:
    with watched_loop(OURS):
        await asyncio.to_thread(time.sleep, 0)
    with watched_loop(["json"]):
        block()
    assert asyncio.get_running_loop().is_running()


def test_without_a_loop_anything_may_block() -> None:
    with watched_loop(OURS) as watch:
        block()
    assert not any(function.activated for function in watch.functions.values())
