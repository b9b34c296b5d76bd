"""Real models loaded and unloaded in turn, in a process of its own: `python -m tests.service.models.unloading CACHE`.

It prints what it had in memory, in bytes, as a line of JSON: before each load, when nothing was loaded, and after it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from dataclasses import replace
from pathlib import Path

from common.settings import Settings
from inference.sampling.parameters import SamplingParams
from inference.types import GenerationRequest
from service.models.catalogue import Models
from service.models.loading import LoadedModel, PreparedModel, Progress, Report, prepare_model
from service.models.memory import resident
from service.models.spec import ModelSpec
from tests.service.scripted_model import a_spec

ROUNDS = 5


class Scales:
    """Prepares models as the service does, and weighs the process when one moves in."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.empty: list[int] = []
        self.loaded: list[int] = []

    def __call__(self, spec: ModelSpec, report: Report) -> PreparedModel:
        prepared = prepare_model(spec, self._settings, report)
        return replace(prepared, load=lambda: self._load(prepared))

    def _load(self, prepared: PreparedModel) -> LoadedModel:
        # The catalogue has made room by now; what only the collector of cycles has yet to find is not held by anybody.
        gc.collect()
        self.empty.append(resident())
        return prepared.load()


def silent(title: str) -> Progress:
    return lambda share: None


async def ask(models: Models, name: str) -> None:
    async with models.use(name) as model:
        prompt = await model.prompt([{"role": "user", "content": "Hello! " * 50}])
        request = GenerationRequest(name, prompt, SamplingParams(temperature=0.0, max_tokens=8))
        async with model.engine.submit(request) as generation:
            assert sum([output.tokens async for output in generation]) > 0


async def main(cache: Path) -> None:
    settings = Settings(cache_dir=cache, threads=1, provider="cpu")
    scales = Scales(settings)
    specs = [a_spec(name, context=256, slots=2) for name in ("a", "b")]
    needs = prepare_model(specs[0], settings, silent).needs
    models = Models(specs, scales, silent, memory=needs * 3 // 2, queue=1)
    await models.start()
    for _ in range(ROUNDS):
        for name in ("a", "b"):
            await ask(models, name)
            scales.loaded.append(resident())
    await models.close()
    assert len(scales.empty) == len(scales.loaded), "one of them is in memory at a time"
    print(json.dumps({"empty": scales.empty, "loaded": scales.loaded}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
