"""Model directories as others publish them, from the setting to an answer: the tokens are the decoder's in numpy."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.settings import Settings
from inference.sampling.parameters import SamplingParams
from inference.types import GenerationRequest, ModelFileError
from service.models.loading import LoadedModel, prepare_model, serve
from service.models.spec import specs_of
from tests.inference.onnx.directories import save_genai, save_optimum
from tests.inference.onnx.tiny_decoder import TinyDecoder
from tests.inference.onnx.tiny_graph import Form

END_TOKENS = (0, 2)


def optimum(directory: Path) -> TinyDecoder:
    """With attention that appends, as Optimum exports it."""
    return save_optimum(directory, {"onnx/model.onnx": Form(appends=True)})["onnx/model.onnx"]


def genai(directory: Path) -> TinyDecoder:
    return save_genai(directory, Form("int4", position_ids=False))


def settings_for(directory: Path, **others: str) -> Settings:
    sizes = {"slots": 3, "context": 60, "threads": 1, "provider": "cpu"}
    return Settings.model_validate({"model": str(directory), "cache_dir": directory / "cache", **sizes, **others})


@pytest.mark.parametrize("save", [optimum, genai])
async def test_a_published_directory_answers(tmp_path: Path, save: Callable[[Path], TinyDecoder]) -> None:
    decoder = await asyncio.to_thread(save, tmp_path)
    model = await asyncio.to_thread(load, settings_for(tmp_path))
    served = serve(model, queue_limit=4)
    try:
        prompt = await served.prompt([{"role": "user", "content": "hi"}])
        sampling = SamplingParams(temperature=0.0, max_tokens=12)
        async with served.engine.submit(GenerationRequest("r", prompt, sampling)) as generation:
            outputs = [output async for output in generation]
    finally:
        await served.close()
    expected = greedy(decoder, prompt, 12)
    assert sum(output.tokens for output in outputs) == len(expected)
    shown = b"".join(model.token_bytes[token] for token in expected if token not in END_TOKENS)
    assert "".join(output.text for output in outputs) == shown.decode(errors="replace")


def load(settings: Settings) -> LoadedModel:
    return prepare_model(specs_of(settings)[0], settings, lambda what: lambda share: None).load()


def greedy(decoder: TinyDecoder, prompt: tuple[int, ...], most: int) -> list[int]:
    tokens: list[int] = []
    while len(tokens) < most and not (tokens and tokens[-1] in END_TOKENS):
        tokens.append(int(decoder.logits([*prompt, *tokens])[-1].argmax()))
    return tokens


@pytest.mark.parametrize("id", [300, 5000, 60_000_000])
def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, id: int) -> None:
    """The graph has 300 logits, whatever its config says."""
    genai(tmp_path)
    change(tmp_path / "genai_config.json", lambda config: config["model"].update(vocab_size=70_000_000))
    change(tmp_path / "tokenizer.json", lambda tokenizer: tokenizer["model"]["vocab"].update(zzz=id))
    with pytest.raises(
        ModelFileError, match=rf"json has the token id {id}, but the logits of model\.onnx are 300: put"
    ):
        load(settings_for(tmp_path))


async def test_a_tokenizer_with_an_added_token_beyond_the_models_is_served(tmp_path: Path) -> None:
    genai(tmp_path)
    more = [{"id": id, "content": f"<{id}>", "special": True} for id in range(264, 310)]
    rest = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    change(tmp_path / "tokenizer.json", lambda tokenizer: tokenizer["added_tokens"].extend(t | rest for t in more))
    served = serve(await asyncio.to_thread(load, settings_for(tmp_path)), queue_limit=4)
    try:
        prompt = await served.prompt([{"role": "user", "content": "<299><300><309>"}])
        assert max(prompt) < 300
        request = GenerationRequest("r", prompt, SamplingParams(max_tokens=4))
        async with served.engine.submit(request) as generation:
            assert sum([output.tokens async for output in generation]) > 0
    finally:
        await served.close()


def change(file: Path, edit: Callable[[Any], object]) -> None:
    document = json.loads(file.read_text())
    edit(document)
    file.write_text(json.dumps(document))


def test_a_precision_that_a_directory_does_not_have_is_refused(tmp_path: Path) -> None:
    optimum(tmp_path)
    with pytest.raises(ModelFileError, match=r"has no int8 graph; it has float32 \(onnx/model\.onnx\)\.$"):
        load(settings_for(tmp_path, precision="int8"))
