"""How a conversation becomes the prompt of a loaded model."""

import pytest

from inference.chat import ChatTemplate
from inference.fakes import ScriptedRunner
from inference.stream import AsyncEngine
from inference.types import ContextLengthExceeded
from service.models.served import LONG_TEXT, ServedModel
from tests.service.scripted_model import CHATML, END, TOKEN_BYTES, TOKENIZER, decode


@pytest.fixture
def model() -> ServedModel:
    runner = ScriptedRunner(1, 64, TOKENIZER.vocab_size, end_token=END)
    engine = AsyncEngine(runner, TOKEN_BYTES, frozenset({END}))
    return ServedModel("scripted", 1, 20_000, TOKENIZER, ChatTemplate(CHATML), engine)


@pytest.mark.parametrize("length", [5, LONG_TEXT + 1])
async def test_short_and_long_conversations_become_the_same_kind_of_prompt(model: ServedModel, length: int) -> None:
    prompt = await model.prompt([{"role": "user", "content": "x" * length}])
    assert decode(prompt) == f"user\n{'x' * length}\nassistant\n"


async def test_a_text_that_cannot_fit_is_refused_without_being_encoded(model: ServedModel) -> None:
    with pytest.raises(ContextLengthExceeded):
        await model.prompt([{"role": "user", "content": "x" * 10_000_000}])
