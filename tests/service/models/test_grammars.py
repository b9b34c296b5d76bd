"""Grammars are compiled one after the other, beside the event loop, as long as the model is there."""

import asyncio

import pytest

from inference.grammar.compiler import GrammarCompiler
from inference.grammar.errors import GrammarError
from inference.grammar.grammar import Grammar, GrammarKind
from inference.types import EngineStopped, QueueFull
from service.models.grammars import Grammars
from tests.inference.grammar.answers import VOCABULARY, allowed, follow


def regex(text: str) -> Grammar:
    return Grammar(GrammarKind.REGEX, text)


@pytest.fixture
async def grammars() -> Grammars:
    return Grammars(GrammarCompiler(VOCABULARY), limit=2)


async def test_each_answer_has_a_constraint_of_its_own(grammars: Grammars) -> None:
    first, second = await grammars.constraints(regex("ab|ac"), 2)
    [third] = await grammars.constraints(regex("ab|ac"), 1)
    follow(first, "ab")
    follow(second, "ac")
    follow(third, "a")
    assert first.finished
    assert second.finished
    assert len(allowed(third)) == 2
    await grammars.close()


async def test_too_many_that_wait_are_refused_and_those_that_wait_are_not(grammars: Grammars) -> None:
    waiting = [asyncio.ensure_future(grammars.constraints(regex(text), 1)) for text in ("x", "[")]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await grammars.constraints(regex("y"), 1)
    [constraint] = await waiting[0]
    with pytest.raises(GrammarError):
        await waiting[1]
    follow(constraint, "x")
    assert len(await grammars.constraints(regex("y"), 1)) == 1
    await grammars.close()


async def test_nothing_is_compiled_for_a_model_that_is_closed(grammars: Grammars) -> None:
    waiting = [asyncio.ensure_future(grammars.constraints(regex(text), 1)) for text in ("x", "y")]
    await asyncio.sleep(0)
    await grammars.close()
    await grammars.close()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, EngineStopped | list)
    with pytest.raises(EngineStopped):
        await grammars.constraints(regex("z"), 1)
