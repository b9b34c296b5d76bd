"""The lookup finds the place that a search of the whole text would find."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.speculation.lookup import LONGEST, SHORT, Lookup


def grown(tokens: list[int], start: int = 0) -> Lookup:
    """A lookup that saw the first `start` tokens at once and the others one by one."""
    lookup = Lookup(tokens)
    for end in range(max(start, 1), len(tokens) + 1):
        lookup.advance(end)
    return lookup


def run(tokens: list[int], place: int, end: int) -> int:
    length = 0
    while length < place and tokens[place - 1 - length] == tokens[end - 1 - length]:
        length += 1
    return length


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(0, 60))
def test_a_match_is_a_real_one_and_none_is_missed(tokens: list[int], start: int) -> None:
    lookup, end = grown(tokens, min(start, len(tokens))), len(tokens)
    longest = max((run(tokens, place, end) for place in range(1, end)), default=0)
    assert lookup.length >= min(longest, SHORT) or longest < SHORT
    if lookup.length:
        near = run(tokens, lookup.source, end)
        assert 1 <= near <= lookup.length or near > LONGEST
        before = run(tokens, lookup.source - near - 1, end - near - 1) if near < lookup.source else 0
        assert lookup.length == min(near, LONGEST) + (min(before, max(LONGEST - near, 0)) // 2)


@given(st.lists(st.integers(0, 50), min_size=30, max_size=60, unique=True), st.integers(0, 20), st.integers(2, 10))
def test_a_passage_that_stood_in_the_text_once_is_found(text: list[int], start: int, length: int) -> None:
    tokens = text + text[start : start + length]
    lookup = grown(tokens, start=len(text))
    assert (lookup.source, lookup.length) == (start + length, length)
    assert lookup.continuation(5, len(tokens)) == tokens[start + length : start + length + 5]


def test_of_two_places_the_one_with_the_longer_match_is_taken() -> None:
    tokens = [1, 2, 3, 4, 5, 6, 7, 50, 9, 4, 5, 6, 60, 1, 2, 3, 4, 5, 6]
    lookup = grown(tokens)
    assert (lookup.source, lookup.length) == (6, 6)


def test_a_match_goes_on_although_the_same_words_come_again_elsewhere() -> None:
    """Once a passage is being followed, its latest words alone do not lead away from it."""
    passage = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    other = [5, 6, 90, 91]
    lookup = grown(passage + other + passage[:6], start=13)
    assert lookup.source == 6


def test_one_token_that_differs_does_not_lead_away_from_a_passage() -> None:
    passage = list(range(100, 120))
    lookup = grown([*passage, 1, 2, *passage[:10], 7, passage[11]], start=22)
    assert (lookup.source, lookup.length) == (12, 1 + 10 // 2)


def test_what_would_run_beyond_the_end_repeats_itself() -> None:
    lookup = grown([9, 1, 2, 3, 1, 2, 3])
    assert lookup.continuation(7, 7) == [1, 2, 3, 1, 2, 3, 1]


def test_a_text_without_repetition_has_no_match() -> None:
    assert grown(list(range(100))).length == 0


@pytest.mark.parametrize("repetitive", [False, True])
def test_a_token_costs_no_more_in_a_long_text_than_in_a_short_one(repetitive: bool) -> None:
    """Twice as many tokens take about twice as long; a scan of the text would take four times as long."""
    generator = random.Random(1)
    tokens = [generator.randrange(2 if repetitive else 50) for _ in range(40_000)]
    grown(tokens[:20_000])
    times = []
    for size in (20_000, 40_000):
        begun = time.process_time()
        grown(tokens[:size])
        times.append(time.process_time() - begun)
    assert times[1] < 3.2 * times[0]
