"""What the settings say about threads, provider, reproducibility and speculation reaches the model that is loaded."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.settings import load_settings
from inference.onnx.provider import ProviderUnavailable, probe_cuda
from inference.runner import Logits, Runner
from inference.sampling.parameters import SamplingParams
from inference.types import EngineStats, GenerationRequest
from service.models.loading import LoadedModel, prepare_model, serve
from service.models.spec import specs_of
from tests.inference.onnx.directories import save_genai
from tests.inference.onnx.tiny_graph import Form

PROMPT = (5, 6, 7, 8) * 4  # a text that repeats itself, from which the next tokens can be drafted


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_genai(tmp_path, Form())
    return tmp_path


def load(directory: Path, **variables: str) -> LoadedModel:
    """The model as the environment variables say, written without their prefix and in lower case."""
    given = {"model": str(directory), "cache_dir": str(directory / "cache"), "context": "60", "slots": "3"} | variables
    settings = load_settings([], {f"ANSWERD_{name.upper()}": value for name, value in given.items()})
    return prepare_model(specs_of(settings)[0], settings, lambda what: lambda share: None).load()


def test_onnx_runtime_gets_as_many_threads_as_the_setting_says(directory: Path) -> None:
    process = psutil.Process()
    grown = []
    for threads in ("1", "4"):
        before = process.num_threads()
        model = load(directory, provider="cpu", threads=threads)
        grown.append(process.num_threads() - before)
        model.runner.close()
    assert grown == [0, 3], "the thread that calls is one of them"


def test_the_provider_that_was_asked_for_runs_and_is_told(directory: Path) -> None:
    model = load(directory, provider="cpu")
    model.runner.close()
    assert model.provider == "CPU (it was asked for)"


@pytest.mark.skipif(probe_cuda() is None, reason="CUDA works here")
def test_a_provider_that_does_not_work_is_refused_if_it_was_asked_for(directory: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="cuda was asked for"):
        load(directory, provider="cuda")


class Counting:
    """A runner that notes how many rows each decode call has."""

    def __init__(self, runner: Runner) -> None:
        self._runner, self.rows = runner, set[int]()
        self.slots, self.max_length, self.vocab_size = runner.slots, runner.max_length, runner.vocab_size
        self.prefill, self.swap, self.copy, self.close = runner.prefill, runner.swap, runner.copy, runner.close

    def decode(
        self, first_slot: int, tokens: Sequence[int], positions: Sequence[int], best: int | None = None
    ) -> Logits:
        self.rows.add(len(tokens))
        return self._runner.decode(first_slot, tokens, positions, best)


def answered(model: LoadedModel) -> tuple[EngineStats, set[int]]:
    """What the engine did for a lone greedy answer, and how many rows its decode calls had."""
    runner = Counting(model.runner)

    async def run() -> EngineStats:
        served = serve(replace(model, runner=runner), queue_limit=4)
        sampling = SamplingParams(temperature=0, max_tokens=40, logit_bias=((9, 100.0),))  # one token, again and again
        try:
            async with served.engine.submit(GenerationRequest("r", PROMPT, sampling)) as generation:
                outputs = [output async for output in generation]
        finally:
            await served.close()
        assert sum(output.tokens for output in outputs) == 40
        return served.engine.stats

    return asyncio.run(run()), runner.rows


@pytest.mark.parametrize(("deterministic", "rows"), [("false", {1}), ("true", {2})])
def test_a_deterministic_engine_never_decodes_a_lone_row(directory: Path, deterministic: str, rows: set[int]) -> None:
    stats, found = answered(load(directory, deterministic=deterministic))
    assert found == rows
    assert (stats.verify_calls == 0) == (deterministic == "true"), "a draft that is verified is a lone row, too"


@pytest.mark.parametrize("speculation", ["false", "true"])
def test_a_lone_answer_is_drafted_unless_the_setting_says_otherwise(directory: Path, speculation: str) -> None:
    stats, _ = answered(load(directory, speculation=speculation))
    assert (stats.accepted_tokens > 0) == (speculation == "true")


@pytest.mark.parametrize(("milliseconds", "seconds"), [("0", 0.0), ("250", 0.25)])
def test_pieces_of_text_come_as_often_as_the_setting_says(directory: Path, milliseconds: str, seconds: float) -> None:
    model = load(directory, stream_interval_ms=milliseconds)
    model.runner.close()
    assert model.options.interval == seconds
