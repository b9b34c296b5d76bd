"""`python -m bench.engine_peer GGUF CACHE THREADS SLOTS`: our own engine as a peer, without service, gRPC and HTTP.

Set up as the service sets it up, end tokens included.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from bench.machine import held_for
from bench.models import open_model
from bench.protocol import Command, Stream, encode_streams, own_streams, serve
from common.settings import Settings
from inference.costs import costs_with
from inference.kernels.library import find_library
from inference.model import ModelDirectory
from inference.onnx.loading import load_runner
from inference.onnx.provider import choose_provider
from inference.options import EngineOptions
from inference.runner import Runner
from inference.sampling.parameters import DryParams, SamplingParams
from inference.stream import AsyncEngine
from inference.types import GenerationRequest


class EngineCommands:
    """Runs commands on an engine and its event loop; `loop` is also the loop that the engine was started on."""

    def __init__(self, engine: AsyncEngine, loop: asyncio.Runner) -> None:
        self._engine = engine
        self._loop = loop
        self._ids = count()

    def generate(self, prompts: Sequence[Sequence[int]], max_tokens: int, **sampling: Any) -> Mapping[str, Any]:
        """sampling: as in SamplingParams, in JSON; greedy unless it says otherwise."""
        return encode_streams(self._loop.run(self._all(prompts, sampling_of({"max_tokens": max_tokens, **sampling}))))

    async def _all(self, prompts: Sequence[Sequence[int]], sampling: SamplingParams) -> list[Stream]:
        requests = [GenerationRequest(str(next(self._ids)), tuple(prompt), sampling) for prompt in prompts]
        start = time.perf_counter()
        return await asyncio.gather(*(self._one(request, start) for request in requests))

    async def _one(self, request: GenerationRequest, start: float) -> Stream:
        tokens = cached = 0
        times: list[float] = []
        async with self._engine.submit(request) as generation:
            async for output in generation:
                if output.tokens:
                    times.append(time.perf_counter() - start)
                tokens += output.tokens
                cached = output.cached_tokens
        return Stream(times[0], times[-1], time.perf_counter() - start, tokens, cached)


def sampling_of(fields: dict[str, Any]) -> SamplingParams:
    if dry := fields.get("dry"):
        fields["dry"] = DryParams(**{**dry, "sequence_breakers": tuple(dry["sequence_breakers"])})
    fields["logit_bias"] = tuple((token, bias) for token, bias in fields.get("logit_bias", ()))
    fields["stop"] = tuple(fields.get("stop", ()))
    return SamplingParams(**{"temperature": 0, **fields})


def load_engine(gguf: Path, cache: Path, threads: int, slots: int, context: int) -> AsyncEngine:
    model = open_model(gguf, cache, "int4")
    return engine_over(model, runner_of(model, cache, threads, slots, context), cache)


def runner_of(model: ModelDirectory, cache: Path, threads: int, slots: int, context: int) -> Runner:
    return load_runner(
        model.graph_path,
        model.config,
        choose_provider("cpu"),
        threads=threads,
        slots=slots,
        context=context,
        operators=find_library(cache),
    )


def engine_over(model: ModelDirectory, runner: Runner, cache: Path) -> AsyncEngine:
    token_bytes = model.tokenizer.token_bytes()
    token_bytes += [b""] * (runner.vocab_size - len(token_bytes))
    # Beside an engine that does not draft: the same work.
    config = model.config
    costs = costs_with(own_attention=config.own_attention)
    kernels = find_library(cache)
    plain = EngineOptions(speculation=False, costs=costs, uniform=config.uniform, kernels=kernels)
    return AsyncEngine(runner, token_bytes, model.config.eos_token_ids, options=plain)


def main() -> None:
    lines, out = own_streams()
    gguf, cache, threads, slots = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    memory, start = psutil.Process().memory_info().rss, time.perf_counter()
    model = open_model(gguf, cache, "int4")
    held = held_for(model.path)
    runner = runner_of(model, cache, threads, slots, Settings().context)
    runner_bytes = held_for(model.path) - held
    engine = engine_over(model, runner, cache)
    with asyncio.Runner() as loop:

        async def started() -> None:
            engine.start()
            # The first calls allocate: a model is loaded when it can answer at speed.
            async with engine.submit(GenerationRequest("first", (1, 2, 3, 4), sampling_of({"max_tokens": 2}))) as first:
                async for _ in first:
                    pass

        loop.run(started())
        loaded = {
            "seconds": time.perf_counter() - start,
            "bytes": psutil.Process().memory_info().rss - memory,
            "runner_bytes": runner_bytes,
        }
        whose = "answerd's" if model.config.kernels else "its own"
        name = f"answerd's engine (ONNX Runtime {version('onnxruntime-gpu')} with {whose} kernels)"
        commands: dict[str, Command] = {
            "generate": EngineCommands(engine, loop).generate,
            "loaded": lambda: loaded,
        }
        serve(name, commands, lines, out)
        loop.run(engine.close())


if __name__ == "__main__":
    main()
