"""Models of a hub among those that are served: from their name in the settings to an answer, and when the hub fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from common.settings import Settings
from inference.sampling.parameters import SamplingParams
from inference.types import GenerationRequest
from service.errors import Reason, ServiceError
from service.models.catalogue import RETRY_SECONDS, Models
from service.models.loading import Prepare, prepare_model
from service.models.spec import ModelSpec
from tests.inference.gguf.tiny_models import FAMILIES, write_model
from tests.inference.onnx.directories import save_genai, save_optimum
from tests.inference.onnx.tiny_graph import Form
from tests.service.scripted_model import Clock, a_spec
from tests.service.served import catalogue
from tests.support.loopback_hub import LoopbackHub


def gguf(folder: Path) -> None:
    write_model(folder / "tiny-Q4_0.gguf", FAMILIES["llama"])


def optimum(folder: Path) -> None:
    """Two precisions, one of which has its weights in a file beside it."""
    save_optimum(folder, {"onnx/model_fp16.onnx": Form("float16", appends=True), "onnx/model.onnx": Form(appends=True)})
    graph = onnx.load(folder / "onnx/model.onnx")
    onnx.save(graph, folder / "onnx/model.onnx", save_as_external_data=True, location="model.onnx_data")


def genai(folder: Path) -> None:
    (folder / "cpu/int4").mkdir(parents=True)
    save_genai(folder / "cpu/int4", Form("int4", position_ids=False))


def publish(hub: LoopbackHub, folder: Path, save: Callable[[Path], None]) -> None:
    """As the repository owner/tiny."""
    folder.mkdir()
    save(folder)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub.repositories["owner/tiny"] = files


@pytest.fixture
def prepare(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """As the service prepares models, with a hub and caches of the test's own."""
    template = "/{repo_id}/resolve/{revision}/{filename}"
    constants = {"ENDPOINT": hub.url, "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + template, "HF_HUB_CACHE": str(tmp_path)}
    for name, value in constants.items():  # what the library read from its variables when it was imported
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    settings = Settings.model_validate({"cache_dir": tmp_path / "cache", "threads": 1, "provider": "cpu"})
    return lambda spec, report: prepare_model(spec, settings, report)


def spec_of(name: str | None, source: str) -> ModelSpec:
    return replace(a_spec(name), source=source, context=60, slots=2)


async def tokens_of(models: Models, name: str = "default") -> int:
    """How many tokens an answer has."""
    async with models.use(name) as model:
        prompt = await model.prompt([{"role": "user", "content": "hi"}])
        request = GenerationRequest("r", prompt, SamplingParams(temperature=0.0, max_tokens=3))
        async with model.engine.submit(request) as generation:
            return sum([output.tokens async for output in generation])


@pytest.mark.parametrize(
    ("save", "name"), [(gguf, "tiny-Q4_0"), (optimum, "tiny"), (genai, "tiny")], ids=["gguf", "optimum", "genai"]
)
async def test_a_model_of_the_hub_answers_under_its_own_name_or_that_of_its_repository(
    hub: LoopbackHub, prepare: Prepare, tmp_path: Path, save: Callable[[Path], None], name: str
) -> None:
    await asyncio.to_thread(publish, hub, tmp_path / "made", save)
    models, _ = catalogue([spec_of(None, "hf:owner/tiny")], prepare)
    try:
        await models.start()
        assert await tokens_of(models) > 0
        assert [card.id for card in models.cards()] == [name]
    finally:
        await models.close()


async def test_a_hub_that_fails_at_first_use_fails_those_requests_and_is_asked_again_later(
    hub: LoopbackHub, prepare: Prepare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(publish, hub, tmp_path / "made", gguf)
    clock = Clock(0)
    specs = [spec_of("first", str(tmp_path / "made" / "tiny-Q4_0.gguf")), spec_of("second", "hf:owner/tiny")]
    models, _ = catalogue(specs, prepare, steady=clock)
    try:
        await models.start()
        hub.statuses["/cdn/"] = (404, "")
        for _ in range(2):
            with pytest.raises(ServiceError) as caught:
                await tokens_of(models, "second")
            assert caught.value.reason is Reason.MODEL_ERROR
        said = capsys.readouterr()
        assert (said.out + said.err).count("has no such repository or file, or it is private") == 1
        hub.statuses.clear()
        clock.now = RETRY_SECONDS
        assert await tokens_of(models, "second") > 0
    finally:
        await models.close()
