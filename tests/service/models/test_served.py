"""Which model is served, and how a conversation becomes its prompt."""

from pathlib import Path

import pytest

from inference.chat import ChatTemplate
from inference.fakes import ScriptedRunner
from inference.stream import AsyncEngine
from inference.types import ContextLengthExceeded, ModelFileError
from service.models.served import LONG_TEXT, ServedModel
from service.models.source import find_model
from tests.service.served import CHATML, END, TOKEN_BYTES, TOKENIZER, decode


@pytest.fixture
def model() -> ServedModel:
    runner = ScriptedRunner(1, 64, TOKENIZER.vocab_size, end_token=END)
    engine = AsyncEngine(runner, TOKEN_BYTES, frozenset({END}))
    return ServedModel("scripted", 1, 20_000, TOKENIZER, ChatTemplate(CHATML), engine)


@pytest.mark.parametrize("wanted", [None, "default"])
def test_by_default_the_packaged_model_is_served(wanted: str | None) -> None:
    assert find_model(wanted).name == "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_a_file_or_directory_is_served_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"")
    assert find_model(str(file)) == file
    assert find_model(str(tmp_path)) == tmp_path


def test_a_path_to_nothing_is_refused_by_name() -> None:
    with pytest.raises(ModelFileError, match=r"ANSWERD_MODEL is '/no/where\.gguf'"):
        find_model("/no/where.gguf")


@pytest.mark.parametrize("length", [5, LONG_TEXT + 1])
async def test_short_and_long_conversations_become_the_same_kind_of_prompt(model: ServedModel, length: int) -> None:
    prompt = await model.prompt([{"role": "user", "content": "x" * length}])
    assert decode(prompt) == f"user\n{'x' * length}\nassistant\n"


async def test_a_text_that_cannot_fit_is_refused_without_being_encoded(model: ServedModel) -> None:
    with pytest.raises(ContextLengthExceeded):
        await model.prompt([{"role": "user", "content": "x" * 10_000_000}])
