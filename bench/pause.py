"""How long running streams stand still while a prompt of 8,000 tokens is read beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

from bench.machine import ProcessorTime
from bench.prompts import Prompt, PromptMaker
from bench.results import Samples
from bench.sse_client import Answer
from bench.workloads import Say, WorkloadError

PROMPT_LENGTH = 8000
LONG_CONTEXT = ("--context=8192",)
STREAMS, STREAM_PROMPT, STREAM_LENGTH = 4, 64, 2000
# What was said becomes likelier with each repetition, so that no answer ends before its last token.
ENDLESS = {"frequency_penalty": -2.0}
HEAD_START = 3.0
DELTAS = 20  # of each stream before and during the prompt, or there was nothing to hold up


class Client(Protocol):
    async def ask(
        self, prompt: Prompt, max_tokens: int, *, start: float | None = None, parameters: Mapping[str, Any] = {}
    ) -> Answer: ...


async def measure_pauses(
    client: Client, prompts: PromptMaker, repeat: int, say: Say, head_start: float = HEAD_START
) -> Samples:
    """Seconds of the longest gap between two deltas of a stream, of each turn. Raises WorkloadError.

    head_start: seconds that the streams have before the prompt is sent.
    """
    longest = []
    for turn in range(repeat):
        # Making a long prompt takes tenths of a second, in which nothing is read: it would be the longest gap.
        beside, long = prompts.many(STREAMS, STREAM_PROMPT), prompts.make(PROMPT_LENGTH)
        start, before = time.perf_counter(), ProcessorTime.now()
        streams = [
            asyncio.create_task(client.ask(prompt, STREAM_LENGTH, start=start, parameters=ENDLESS)) for prompt in beside
        ]
        await asyncio.sleep(head_start)
        sent = time.perf_counter() - start
        read = sent + (await client.ask(long, 2)).stream.first
        lost = ProcessorTime.now() - before
        gaps = gaps_of(await asyncio.gather(*streams), sent, read)
        longest.append(gaps[-1])
        say(f"{turn + 1}/{repeat} gaps beside a long prompt of {read - sent:.0f} s: {_spread(gaps)}; {lost}")
    return Samples("answerd over SSE", longest, False)


def _spread(gaps: Sequence[float]) -> str:
    """gaps: in ascending order."""
    middle, high = gaps[len(gaps) // 2], gaps[len(gaps) * 99 // 100]
    return f"longest {gaps[-1]:.3f}, one of a hundred above {high:.3f}, median {middle:.3f}"


def gaps_of(streams: Sequence[Answer], sent: float, read: float) -> list[float]:
    """The gaps that a stream had while the prompt was read, its beginning and its end included, in ascending order.
    Raises WorkloadError unless all streams ran all that time; what they had to do before their own first token is not
    counted."""
    gaps = []
    for stream in streams:
        before = [each for each in stream.times if each < sent]
        during = [each for each in stream.times if sent <= each < read]
        if min(len(before), len(during)) < DELTAS or stream.times[-1] < read:
            raise WorkloadError(f"A stream had {len(before)} deltas before the prompt and {len(during)} beside it.")
        after = next(each for each in stream.times if each >= read)
        gaps += [later - earlier for earlier, later in pairwise([before[-1], *during, after])]
    return sorted(gaps)
