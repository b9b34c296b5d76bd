"""DRY finds the repetitions that its definition finds, token by token."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.sampling.dry import Dry
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import processed, tokens_of

# "ab" is a token, and the texts of "a" then "b"; 5 is a special token.
TOKEN_BYTES = [b"a", b"b", b"ab", b"\n", b"x", b"", "é".encode()[:1], "é".encode()[1:]]
SIZE = len(TOKEN_BYTES)
tokens = st.lists(st.integers(0, SIZE - 1), max_size=40) | st.lists(st.integers(0, 1), max_size=40)
breakers = st.lists(st.sampled_from(["\n", "a", "b\n", "abx", "é", "bb", "ba"]), max_size=3).map(tuple)
settings_of_dry = st.builds(
    DryParams,
    multiplier=st.sampled_from([0.5, 2.0]),
    base=st.sampled_from([0.5, 1.0, 1.75]),
    allowed_length=st.integers(0, 4),
    sequence_breakers=breakers,
)


def penalties(params: DryParams, prompt: Sequence[int], output: Sequence[int]) -> list[float]:
    dry = Dry(params, prompt, TOKEN_BYTES)
    for token in output:
        dry.accept(token)
    row = np.zeros(SIZE, np.float32)
    dry.apply(row)
    return [-float(logit) for logit in row]


@given(prompt=tokens.filter(len), output=tokens, params=settings_of_dry)
def test_the_penalties_are_those_of_the_definition(prompt: list[int], output: list[int], params: DryParams) -> None:
    expected = -processed(np.zeros(SIZE, np.float32), SamplingParams(dry=params), prompt, output, TOKEN_BYTES)
    assert penalties(params, prompt, output) == pytest.approx(list(expected), rel=1e-5)


@given(whole=tokens.filter(lambda tokens: len(tokens) > 1), cut=st.integers(1, 39), params=settings_of_dry)
def test_it_does_not_matter_where_the_prompt_ends(whole: list[int], cut: int, params: DryParams) -> None:
    cut = min(cut, len(whole))
    assert penalties(params, whole[:cut], whole[cut:]) == penalties(params, whole, [])


def test_a_repetition_is_penalised_by_its_length() -> None:
    params = DryParams(multiplier=2.0, base=3.0, allowed_length=2, sequence_breakers=())
    # "x a b" came before and was followed by a line feed; now it has come again.
    assert penalties(params, [4, 0, 1, 3, 2], [4, 0, 1])[3] == 2.0 * 3.0 ** (3 - 2)
    assert penalties(params, [4, 0, 1, 3, 2], [4, 0])[1] == 2.0
    assert penalties(params, [4, 0, 1, 3, 2], [4])[0] == 0.0


def test_no_repetition_reaches_across_a_breaker() -> None:
    context = [4, 3, 0, 1, 2], [4, 3, 0]
    assert penalties(DryParams(1.0, 2.0, 1, ()), *context)[1] == 1.0 * 2.0 ** (3 - 1)
    assert penalties(DryParams(1.0, 2.0, 1, ("\n",)), *context)[1] == 1.0
    assert penalties(DryParams(1.0, 2.0, 1, ("\n",)), [4, 3, 0], [4])[3] == 0.0, "a breaker is never penalised"


def test_a_breaker_may_be_spread_over_tokens() -> None:
    params = DryParams(1.0, 2.0, 1, ("ab",))
    assert penalties(params, [4, 0, 1, 4, 2], [4, 0, 1]) == [0.0] * SIZE


def test_a_long_repetition_forbids_without_ending_all(new_sampler: NewSampler) -> None:
    params = SamplingParams(temperature=0, dry=DryParams(1e300, 1e10, 0, ()))
    state = SamplerState(params, [0] * 500, TOKEN_BYTES)
    logits = np.full((1, SIZE), -np.inf, np.float32)
    logits[0, 0] = 1.0
    assert tokens_of(new_sampler(SIZE), logits, [state]) == [0]
    logits[0, 1] = -1e9
    assert tokens_of(new_sampler(SIZE), logits, [state]) == [1]


def test_a_sequence_outgrows_its_first_room() -> None:
    params = DryParams(1.0, 1.0, 1, ())
    assert penalties(params, [0], [1, 2, 3, 4] * 200)[1] == 1.0


def test_a_copy_goes_on_by_itself() -> None:
    params = DryParams(1.0, 2.0, 1, ("\n",))
    one = Dry(params, [4, 0, 1, 2], TOKEN_BYTES)
    other = one.copy()
    for token in (4, 0):
        one.accept(token)
    for dry, penalised in ((one, 1), (other, None)):
        row = np.zeros(SIZE, np.float32)
        dry.apply(row)
        assert np.flatnonzero(row).tolist() == ([] if penalised is None else [penalised])


def test_breakers_that_say_the_same_are_looked_for_once() -> None:
    """So that a prompt of nothing but breakers is looked through once, and not once for each."""
    breakers = tuple("a" * length for length in range(1, 65))
    dry = Dry(DryParams(1.0, 2.0, 1, (*breakers, "b", "xb")), [0], TOKEN_BYTES)
    assert dry._breakers == [b"a", b"b"]
