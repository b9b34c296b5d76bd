"""A closed loop of clients, each of which asks again when it has its answer, against two servers in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from bench.prompts import Prompt, PromptMaker
from bench.protocol import Stream
from bench.sse_client import SseClient
from bench.workloads import Say, WorkloadError

CLIENTS = (1, 4, 16)
PROMPT_LENGTH, OUTPUT_LENGTH = 64, 96
# Of each client in a turn: enough that what the last ones do alone counts for little.
REQUESTS = {1: 4, 4: 4, 16: 3}
LEAST_SHARE = 0.9  # of the tokens asked for: a server whose answers end early does less


@dataclass
class Served:
    """What one server did for so many clients: tokens a second of each turn, seconds to the first token of each
    request."""

    rates: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)

    def percentile(self, share: int) -> float:
        """share: 1 to 99."""
        return quantiles(self.first, n=100, method="inclusive")[share - 1]


Results = Mapping[int, Mapping[str, Served]]
"""By number of clients, by name of the server."""


async def measure_clients(systems: Sequence[SseClient], prompts: PromptMaker, repeat: int, say: Say) -> Results:
    """Raises WorkloadError if a server's answers are shorter than asked for."""
    results = {clients: {system.name: Served() for system in systems} for clients in CLIENTS}
    for system in systems:
        await _all(system, prompts.many(4, PROMPT_LENGTH), 4)
    for turn in range(repeat):
        for clients in CLIENTS:
            asked = prompts.many(clients * REQUESTS[clients], PROMPT_LENGTH)
            for system in systems if turn % 2 else reversed(systems):
                served = results[clients][system.name]
                rate, streams = await _all(system, asked, clients)
                check(system.name, streams)
                served.rates.append(rate)
                served.first += [stream.first for stream in streams]
            latest = ", ".join(f"{name} {served.rates[-1]:.0f}" for name, served in results[clients].items())
            say(f"{turn + 1}/{repeat} clients: {clients}, tok/s: {latest}")
    return results


def check(name: str, streams: Sequence[Stream]) -> None:
    tokens, wanted = sum(stream.tokens for stream in streams), len(streams) * OUTPUT_LENGTH
    if tokens < LEAST_SHARE * wanted:
        raise WorkloadError(f"{name}: {tokens} tokens, not {wanted}.")


async def _all(system: SseClient, prompts: Sequence[Prompt], clients: int) -> tuple[float, list[Stream]]:
    """Tokens a second from the first request to the end of the last answer, and the answers."""
    waiting, streams = iter(prompts), list[Stream]()

    async def client() -> None:
        for prompt in waiting:
            streams.append((await system.ask(prompt, OUTPUT_LENGTH)).stream)

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return sum(stream.tokens for stream in streams) / (time.perf_counter() - start), streams
