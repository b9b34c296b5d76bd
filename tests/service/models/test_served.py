"""How a conversation becomes the prompt of a loaded model."""

import asyncio

import pytest

from inference.chat import ChatTemplate
from inference.fakes import ScriptedRunner
from inference.grammar.compiler import GrammarCompiler
from inference.grammar.vocabulary import Vocabulary
from inference.stream import AsyncEngine
from inference.tokenizer import Tokenizer
from inference.types import ContextLengthExceeded
from service.models.grammars import Grammars
from service.models.served import LONG_TEXT, ServedModel
from tests.inference.held_text import WAIT, HeldText, held_tokenizer
from tests.service.scripted_model import CHATML, END, TOKEN_BYTES, TOKENIZER, decode


def served_model(tokenizer: Tokenizer) -> ServedModel:
    runner = ScriptedRunner(1, 64, TOKENIZER.vocab_size, end_token=END)
    engine = AsyncEngine(runner, TOKEN_BYTES, frozenset({END}))
    grammars = Grammars(GrammarCompiler(Vocabulary.of(TOKEN_BYTES, {}, frozenset({END}))), limit=1)
    return ServedModel("scripted", 1, 20_000, tokenizer, ChatTemplate(CHATML), engine, grammars)


@pytest.fixture
def model() -> ServedModel:
    return served_model(TOKENIZER)


@pytest.mark.parametrize("length", [5, LONG_TEXT + 1])
async def test_short_and_long_conversations_become_the_same_kind_of_prompt(model: ServedModel, length: int) -> None:
    prompt = await model.prompt([{"role": "user", "content": "x" * length}])
    assert decode(prompt) == f"user\n{'x' * length}\nassistant\n"


async def test_the_event_loop_does_not_wait_for_a_long_prompt_on_its_thread() -> None:
    held = HeldText("x" * (LONG_TEXT + 1))
    model = served_model(Tokenizer(held_tokenizer(held)))
    long = asyncio.create_task(model.prompt([{"role": "user", "content": held.text}]))
    try:
        assert await asyncio.to_thread(held.reached.wait, WAIT)
        assert decode(await model.prompt([{"role": "user", "content": "hi"}])) == "user\nhi\nassistant\n"
        assert not long.done()
    finally:
        held.let_go.set()
    assert decode(await long) == f"user\n{held.text}\nassistant\n"


async def test_a_text_that_cannot_fit_is_refused_without_being_encoded(model: ServedModel) -> None:
    with pytest.raises(ContextLengthExceeded):
        await model.prompt([{"role": "user", "content": "x" * 10_000_000}])
