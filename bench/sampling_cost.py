"""What all sampling parameters together cost, beside greedy choice on the same engine, with 16 rows in a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.peer import Peer
from bench.prompts import PromptMaker
from bench.protocol import Stream
from bench.results import Samples
from bench.workloads import Say, stream_rate

STREAMS, PROMPT_LENGTH, OUTPUT_LENGTH = 16, 64, 96
PAIRS = 5  # in a turn: what disturbs the machine for seconds hits one of many
# Penalties as gentle as bias and cut-offs are: the answers stay as long as greedy ones.
EVERYTHING: dict[str, Any] = {
    "temperature": 0.8,
    "top_k": 200,
    "top_p": 0.95,
    "min_p": 0.01,
    "seed": 1,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "repetition_penalty": 1.05,
    "dry": {"multiplier": 0.1, "base": 1.75, "allowed_length": 4, "sequence_breakers": ["\n", ":", '"', "*"]},
    "logprobs": 20,
    "stop": ["a text that nobody writes"],
}


async def measure_sampling(engine: Peer, prompts: PromptMaker, repeat: int, say: Say) -> tuple[Samples, Samples]:
    """Tokens a second with all parameters, and greedily, once every prompt is read."""
    bias = [[int(token), value] for token, value in prompts.endless["logit_bias"].items()]
    kinds: list[tuple[str, dict[str, Any]]] = [("all parameters", {**EVERYTHING, "logit_bias": bias}), ("greedy", {})]
    rates = {"all parameters": list[float](), "greedy": list[float]()}
    await engine.generate(prompts.many(4, PROMPT_LENGTH), 16)
    for pair in range(repeat * PAIRS):
        asked = prompts.many(STREAMS, PROMPT_LENGTH)
        for name, sampling in kinds if pair % 2 else reversed(kinds):
            rates[name].append(rate(await engine.generate(asked, OUTPUT_LENGTH, sampling)))
        latest = ", ".join(f"{name} {values[-1]:.0f}" for name, values in rates.items())
        say(f"{pair + 1}/{repeat * PAIRS} sampling with 16 streams, tok/s: {latest}")
    everything, greedy = (Samples(name, values, True) for name, values in rates.items())
    return everything, greedy


def rate(streams: Sequence[Stream]) -> float:
    """Of all together, from the first token of the one that began last: no prompt is read any more."""
    return len(streams) * stream_rate([max(streams, key=lambda stream: stream.first)])
