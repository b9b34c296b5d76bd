"""Prompts of an exact length that have nothing in common but the template."""

import pytest

from bench.prompts import PromptError, PromptMaker
from inference.model import ModelDirectory


@pytest.mark.parametrize("length", [48, 64, 512, 1000])
def test_a_prompt_has_exactly_the_length_asked_for(model: ModelDirectory, length: int) -> None:
    prompt = PromptMaker(model, 1).make(length)
    messages = [{"role": "system", "content": prompt.instructions}, {"role": "user", "content": prompt.text}]
    assert model.tokenizer.encode(model.template.render(messages)) == prompt.tokens
    assert len(prompt.tokens) == length


def test_no_prompt_begins_like_another(model: ModelDirectory) -> None:
    """More than nine tokens in common would let one reuse the other's computation."""
    assert len({prompt.tokens[:9] for prompt in PromptMaker(model, 1).many(200, 64)}) == 200


def test_a_seed_gives_the_same_prompts_again(model: ModelDirectory) -> None:
    assert PromptMaker(model, 1).many(3, 64) == PromptMaker(model, 1).many(3, 64)
    assert PromptMaker(model, 1).make(64) != PromptMaker(model, 2).make(64)


def test_a_length_that_cannot_be_made_is_refused(model: ModelDirectory) -> None:
    with pytest.raises(PromptError, match="No prompt of 5 tokens"):
        PromptMaker(model, 1).make(5)
