"""Resident memory of the service: its peak with every slot in use, and its growth over many equal requests.

Expects a service that has answered nothing yet, so that what is measured is all there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.product import Product
from bench.prompts import PromptMaker
from bench.protocol import Stream
from bench.workloads import Say, WorkloadError

STREAMS = 16
# Prompts are computed one after the other: answers must be long enough for the first to run when the last begins.
PROMPT_LENGTH, OUTPUT_LENGTH = 400, 600
# What was said becomes likelier with each repetition, so that no answer ends before its last token.
ENDLESS = {"frequency_penalty": -2.0}
REQUEST_LENGTH, REQUEST_OUTPUT, AT_ONCE = 48, 16, 8
# Caches fill: the rows of the embedding that were read, the pages of SQLite, the words that the tokenizer remembers.
WARM_UP = 800
SAMPLE_SECONDS = 0.05


class Peak:
    """The most bytes seen so far."""

    def __init__(self) -> None:
        self.size = 0


async def measure_peak(product: Product, prompts: PromptMaker, say: Say) -> float:
    """The most resident bytes while 16 streams of 1,000 tokens each run together. Raises WorkloadError."""
    async with _watched(product) as peak:
        streams = await product.client.generate(prompts.many(STREAMS, PROMPT_LENGTH), OUTPUT_LENGTH, ENDLESS)
    check(streams)
    say(f"memory with {STREAMS} streams of 1,000 tokens: {peak.size / 1e6:.0f} MB")
    return peak.size


async def measure_growth(product: Product, prompts: PromptMaker, requests: int, say: Say) -> float:
    """The growth of resident memory over `requests` requests of one shape, as a share, after others of that shape."""
    await _send(product, prompts, WARM_UP)
    before = product.service.memory_info().rss
    await _send(product, prompts, requests)
    after = product.service.memory_info().rss
    say(f"memory over {requests} requests: {before / 1e6:.1f} MB to {after / 1e6:.1f} MB")
    return (after - before) / before


def check(streams: list[Stream]) -> None:
    """Raises WorkloadError unless all streams ran at one time, and to their full length."""
    if max(stream.first for stream in streams) >= min(stream.last for stream in streams):
        raise WorkloadError("The first stream ended before the last one began.")
    if min(stream.tokens for stream in streams) < OUTPUT_LENGTH:
        raise WorkloadError("A stream ended before it had 1,000 tokens.")


async def _send(product: Product, prompts: PromptMaker, requests: int) -> None:
    waiting = iter(prompts.many(requests, REQUEST_LENGTH))

    async def client() -> None:
        for prompt in waiting:
            await product.client.ask(prompt, REQUEST_OUTPUT)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))


@asynccontextmanager
async def _watched(product: Product) -> AsyncIterator[Peak]:
    peak = Peak()
    watching = asyncio.create_task(_watch(product, peak))
    try:
        yield peak
    finally:
        watching.cancel()


async def _watch(product: Product, peak: Peak) -> None:
    while True:
        peak.size = max(peak.size, product.service.memory_info().rss)
        await asyncio.sleep(SAMPLE_SECONDS)
