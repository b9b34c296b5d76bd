"""The loads that all systems get in turns, and the rate each is measured by.

Knows prompts and times; does not know which systems there are or how they are reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.prompts import Prompt, PromptMaker
from bench.protocol import Stream

# Answers that end early leave the batch less than full; so many of the tokens asked for must come.
LEAST_SHARE = 0.95
# No computation may be saved by an earlier prompt's; the few tokens before the prompts part cannot be avoided.
MOST_CACHED = 8

Say = Callable[[str], None]


class System(Protocol):
    """Whatever answers prompts: a bare engine in a process of its own, or the product over HTTP."""

    @property
    def name(self) -> str: ...

    async def generate(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Stream]: ...


class WorkloadError(Exception):
    """A system did less than it was asked for, so that its time means nothing."""


@dataclass(frozen=True)
class Workload:
    """`prompts` prompts of `length` tokens at once. rate: tokens a second, from the answers."""

    key: str
    title: str
    prompts: int
    length: int
    max_tokens: int
    rate: Callable[[Sequence[Stream]], float]


PROMPT_LENGTH = 512
OUTPUT_LENGTH = 128


def prompt_rate(streams: Sequence[Stream]) -> float:
    """Prompt tokens until the first token of the answer."""
    [stream] = streams
    return PROMPT_LENGTH / stream.first


def stream_rate(streams: Sequence[Stream]) -> float:
    """Tokens after the first one, from the first to the last."""
    [stream] = streams
    return (stream.tokens - 1) / (stream.last - stream.first)


def total_rate(streams: Sequence[Stream]) -> float:
    """All output tokens, from sending to the end of the last answer: the time of the prompts is part of it."""
    return sum(stream.tokens for stream in streams) / max(stream.end for stream in streams)


WORKLOADS = (
    Workload("prompt", "prompt of 512 tokens", 1, PROMPT_LENGTH, 16, prompt_rate),
    Workload("stream", "one stream of 128 tokens", 1, 64, OUTPUT_LENGTH, stream_rate),
    Workload("together", "16 streams together", 16, 64, OUTPUT_LENGTH, total_rate),
)

WIDE = Workload("wide", "32 streams together", 32, 64, OUTPUT_LENGTH, total_rate)

Rates = Mapping[str, Mapping[str, list[float]]]
"""Tokens a second: by workload key, by system name, one for each repetition."""


async def measure(
    workloads: Sequence[Workload], systems: Sequence[System], prompts: PromptMaker, repeat: int, say: Say
) -> Rates:
    """Every workload `repeat` times, the systems taking turns with the same prompts. Raises WorkloadError."""
    rates = {workload.key: {system.name: list[float]() for system in systems} for workload in workloads}
    for system in systems:
        await system.generate(prompts.many(4, 64), 16)
    for turn in range(repeat):
        for workload in workloads:
            asked = prompts.many(workload.prompts, workload.length)
            # Each system is first, second and last equally often: what drifts during a turn favours none.
            for system in (*systems[turn % len(systems) :], *systems[: turn % len(systems)]):
                streams = await system.generate(asked, workload.max_tokens)
                check(workload, system.name, streams)
                rates[workload.key][system.name].append(workload.rate(streams))
            latest = ", ".join(f"{name} {values[-1]:.0f}" for name, values in rates[workload.key].items())
            say(f"{turn + 1}/{repeat} {workload.title}, tok/s: {latest}")
    return rates


def check(workload: Workload, system: str, streams: Sequence[Stream]) -> None:
    """Raises WorkloadError if answers are missing or short, or prompts were not computed anew."""
    tokens, wanted = sum(stream.tokens for stream in streams), workload.prompts * workload.max_tokens
    if len(streams) != workload.prompts or tokens < LEAST_SHARE * wanted:
        raise WorkloadError(f"{system}, {workload.title}: {len(streams)} answers of {tokens} tokens, not {wanted}.")
    if (cached := max(stream.cached for stream in streams)) > MOST_CACHED:
        raise WorkloadError(f"{system}, {workload.title}: {cached} tokens of a prompt were not computed anew.")
