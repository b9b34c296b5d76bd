"""An answer begins with a call where the tokens that begin one are likely enough, and with words elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from inference.bitmask import Bitmask, only
from inference.call_choice import CERTAIN, OPENINGS, CallChoice, beginnings_of, openings_of
from inference.fakes import ScriptedRunner
from inference.runner import Logits
from inference.sampling.sampler import NOT_A_NUMBER, Sampler
from inference.sampling.state import SamplerState
from inference.types import FinishReason, GenerationRequest
from tests.inference.allowed_tokens import allowed_tokens
from tests.inference.engine_tools import GREEDY, generate, spell

EVEN = (0.0, 0.0, 0.0, 0.0)


class Only:
    """Lets one token pass, so many times."""

    def __init__(self, token: int, times: int = 2) -> None:
        self._token, self._left = token, times

    @property
    def finished(self) -> bool:
        return self._left == 0

    def allows(self, token: int) -> bool:
        return token == self._token

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), [self._token])

    def forced(self) -> Sequence[int]:
        return [self._token] * self._left

    def accept(self, token: int) -> None:
        assert token == self._token
        self._left -= 1


def choice(threshold: float) -> CallChoice:
    """Calls with token 2, says token 3."""
    return CallChoice(Only(2), Only(3), np.array([0, 1]), np.array([1]), threshold)


@pytest.mark.parametrize(
    ("logits", "score"),
    [
        (EVEN, -math.log(4)),
        ((1e4, 1e4, 1e4, 1e4), -math.log(4)),
        ((math.log(3), 0.0, 0.0, 0.0), math.log(1 / 2) / 2 + math.log(1 / 6) / 2),
    ],
)
def test_the_score_is_the_mean_log_probability_of_what_begins_a_call(logits: tuple[float, ...], score: float) -> None:
    chosen = choice(0.0)
    assert chosen.score is None
    chosen.bitmask(np.array(logits, np.float32))
    assert chosen.score == pytest.approx(score)


@pytest.mark.parametrize(("threshold", "token"), [(-1.5, 2), (-1.3, 3)])
def test_a_score_below_the_threshold_leads_to_words(threshold: float, token: int) -> None:
    assert allowed_tokens(choice(threshold), 4, EVEN) == {token}


def test_what_was_chosen_at_the_first_token_holds_to_the_end() -> None:
    chosen = choice(-1.5)
    assert not chosen.forced()
    for steps, logits in enumerate((EVEN, (-9.0, -9.0, 9.0, 9.0)), start=1):
        [token] = allowed_tokens(chosen, 4, logits)
        assert not chosen.finished
        chosen.accept(token)
        assert chosen.forced() == [token] * (2 - steps)
    assert chosen.finished


@pytest.mark.parametrize(("threshold", "text"), [(-1e9, "CC"), (1e9, "WW")])
def test_the_engine_answers_on_the_chosen_way(threshold: float, text: str) -> None:
    none = np.array([], np.intp)
    constraint = CallChoice(Only(*spell("C")), Only(*spell("W")), np.array([1, 2]), none, threshold)
    request = GenerationRequest("a", (1, 2, 3), replace(GREEDY, max_tokens=9), constraint=constraint)
    output = generate(ScriptedRunner(), request)["a"]
    assert (output.text, output.finish) == (text, FinishReason.STOP)


@pytest.mark.parametrize(("probability", "token"), [(CERTAIN + 0.01, 2), (CERTAIN - 0.01, 3)])
def test_a_model_that_is_certain_of_the_tag_is_followed_whatever_the_score(probability: float, token: int) -> None:
    row = np.log([(1 - probability) / 3, probability, *[(1 - probability) / 3] * 2])
    assert allowed_tokens(choice(math.inf), 4, row) == {token}


def test_words_do_not_begin_with_the_tag_and_may_say_it_later() -> None:
    chosen = CallChoice(Only(2), Only(1), np.array([0]), np.array([1]), math.inf)
    assert allowed_tokens(chosen, 4) == set()
    chosen.accept(1)
    assert allowed_tokens(chosen, 4) == {1}


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_left_to_those_who_draw(wrong: float) -> None:
    for sampling in (GREEDY, replace(GREEDY, temperature=1.0, top_k=3)):
        state = SamplerState(sampling, constraint=choice(-1.5))
        [sampled] = Sampler.of(4).sample(np.full((1, 4), wrong, np.float32), [state])
        assert sampled.token == NOT_A_NUMBER


def test_openings_and_beginnings_are_found_by_what_tokens_read_as() -> None:
    table = [b"", b"<", b" <", b'{"', b'{"a', b"JSON", b"<tag", b"<tag>x"]
    assert openings_of(table).tolist() == [1, 3, 5]
    assert beginnings_of(table, "<tag>").tolist() == [1, 6]
    assert len(set(OPENINGS)) == len(OPENINGS)
