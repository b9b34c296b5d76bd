"""`python -m bench.engine_peer GGUF CACHE THREADS`: our own engine as a peer, without service, gRPC and HTTP.

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

from bench.models import open_model
from bench.protocol import Stream, encode_streams, own_streams, serve
from common.settings import Settings
from inference.onnx.loading import load_runner
from inference.onnx.provider import choose_provider
from inference.options import EngineOptions
from inference.sampling.parameters import SamplingParams
from inference.stream import AsyncEngine
from inference.types import GenerationRequest


class EngineCommands:
    """Runs commands on an engine and its event loop; `loop` is also the loop that the engine was started on."""

    def __init__(self, engine: AsyncEngine, loop: asyncio.Runner) -> None:
        self._engine = engine
        self._loop = loop
        self._ids = count()

    def generate(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> Mapping[str, Any]:
        return encode_streams(self._loop.run(self._all(prompts, max_tokens)))

    async def _all(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[Stream]:
        sampling = SamplingParams(temperature=0, max_tokens=max_tokens)
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


def load_engine(gguf: Path, cache: Path, threads: int, slots: int, context: int) -> AsyncEngine:
    model = open_model(gguf, cache, "int4")
    runner = load_runner(
        model.graph_path, model.config, choose_provider("cpu"), threads=threads, slots=slots, context=context
    )
    token_bytes = model.tokenizer.token_bytes()
    token_bytes += [b""] * (runner.vocab_size - len(token_bytes))
    # Beside an engine that does not draft: the same work.
    plain = EngineOptions(speculation=False)
    return AsyncEngine(runner, token_bytes, model.config.eos_token_ids, options=plain)


def main() -> None:
    lines, out = own_streams()
    defaults = Settings()
    gguf, cache, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    engine = load_engine(gguf, cache, threads, defaults.slots, defaults.context)
    with asyncio.Runner() as loop:

        async def start() -> None:
            engine.start()

        loop.run(start())
        name = f"answerd's engine (ONNX Runtime {version('onnxruntime-gpu')})"
        serve(name, {"generate": EngineCommands(engine, loop).generate}, lines, out)
        loop.run(engine.close())


if __name__ == "__main__":
    main()
