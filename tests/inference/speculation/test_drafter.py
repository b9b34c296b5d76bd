"""Drafts are long where a text repeats itself, and there are none where it does not."""

import random

from inference.sequence import Sequence
from inference.speculation.drafter import MOST, Drafter
from inference.speculation.odds import Odds
from inference.speculation.speculator import Speculator

PASSAGE = list(range(100, 160))
PRICE = 0.3


def drafter(prompt: list[int], *answer: int) -> Drafter:
    sequence = Sequence("r", list(prompt))
    sequence.tokens.extend(answer)
    return Drafter(sequence, PRICE)


class Race:
    """Answers a prompt token by token, drafting where the drafter wants to; counts calls, a drafted token at PRICE."""

    def __init__(self, prompt: list[int], answer: list[int]) -> None:
        sequence = Sequence("r", list(prompt))
        self.drafter = Drafter(sequence, PRICE)
        self.drafted, self.cost, left = 0, 0.0, list(answer)
        while left:
            draft = self.drafter.draft(len(left) - 1)
            right = next((index for index, token in enumerate(draft) if token != left[index]), len(draft))
            if draft:
                self.drafter.verified(len(draft), right)
            self.drafted += len(draft)
            self.cost += 1 + len(draft) * PRICE
            sequence.tokens += left[: right + 1]
            del left[: right + 1]


def test_an_answer_that_copies_its_prompt_takes_less_than_half_the_time() -> None:
    race = Race([1, 2, 3, *PASSAGE, 4, 5], PASSAGE)
    assert race.cost < 0.5 * len(PASSAGE)


def test_edits_within_a_copy_are_got_over() -> None:
    text = [*PASSAGE, *range(200, 260)]
    edited = [900 + index if index % 20 == 10 else token for index, token in enumerate(text)]
    assert Race([1, 2, 3, *text, 4, 5], edited).cost < len(text) / 1.8


def test_an_answer_that_repeats_itself_is_drafted_from_itself() -> None:
    assert Race([1, 2, 3], PASSAGE[:8] * 10).cost < 0.6 * 80


def test_an_answer_without_repetition_is_never_drafted() -> None:
    race = Race([1, 2, 3, *PASSAGE], [*range(300, 400)])
    assert (race.drafted, race.cost) == (0, 100)


def test_wrong_drafts_cost_an_answer_at_most_a_twentieth() -> None:
    """Words that come in pairs seen before, but go on at random each time."""
    generator = random.Random(1)
    pairs = [[10 * index, 10 * index + 1] for index in range(8)]
    answer = [token for _ in range(64) for token in generator.choice(pairs)]
    race = Race(answer[:40], answer[40:])
    assert race.cost < 1.05 * len(answer[40:])


def test_a_draft_keeps_to_its_limits() -> None:
    assert len(drafter([*PASSAGE, 1], *PASSAGE[:20]).draft(100)) == MOST
    assert drafter([*PASSAGE, 1], *PASSAGE[:20]).draft(3) == PASSAGE[20:23]
    assert drafter([*PASSAGE, 1], *PASSAGE[:20]).draft(0) == []


def test_a_longer_match_makes_a_longer_draft() -> None:
    lengths = [len(drafter([*PASSAGE, 1], *PASSAGE[:length]).draft(100)) for length in (1, 3, 6, 20)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 0 < lengths[-1]


def test_the_same_text_makes_the_same_drafts() -> None:
    """No clock decides, so that the same request runs through the same calls."""
    costs = {Race([1, 2, 3, *PASSAGE, 4, 5], PASSAGE).cost for _ in range(3)}
    assert len(costs) == 1


def test_a_text_that_has_to_come_is_drafted_before_one_that_came_before() -> None:
    repeating = drafter([*PASSAGE, 1], *PASSAGE[:20])
    assert repeating.draft(100, [7, 8, 9]) == [7, 8, 9]
    assert repeating.draft(2, [7, 8, 9]) == [7, 8]
    assert len(drafter([1, 2, 3]).draft(100, range(50))) == MOST
    assert drafter([1, 2, 3]).draft(0, [7]) == []


def test_drafts_of_a_text_that_comes_otherwise_end_before_they_cost_much() -> None:
    wrong = drafter([1, 2, 3])
    drafted = 0
    for token in range(1000, 1100):
        draft = wrong.draft(100, [7, 8, 9])
        if draft:
            wrong.verified(len(draft), 0)
        drafted += len(draft)
        wrong.sequence.tokens.append(token)
    assert 0 < drafted * PRICE < 1 + 0.05 * 100


def test_an_end_token_is_not_drafted() -> None:
    sequence = Sequence("r", [*PASSAGE, 1, *PASSAGE[:20]])
    assert Speculator(frozenset({PASSAGE[22]}), PRICE).draft(sequence, 100) == tuple(PASSAGE[20:22])


def test_a_sequence_that_comes_after_another_has_drafts_of_its_own() -> None:
    speculator = Speculator(frozenset(), PRICE)
    first = Sequence("first", [*PASSAGE, 1, *PASSAGE[:20]])
    second = Sequence("second", [*range(400, 440), 1, *range(400, 420)])
    assert speculator.draft(first, 5) == tuple(PASSAGE[20:25])
    assert speculator.draft(second, 5) == tuple(range(420, 425))


def test_odds_are_learned_and_grow_with_the_match() -> None:
    odds = Odds()
    assert [odds.of(length) for length in range(2, 30)] == sorted(odds.of(length) for length in range(2, 30))
    for _ in range(50):
        odds.learn(20, right=False)
        odds.learn(2, right=True)
    assert odds.of(20) < 0.2 < 0.8 < odds.of(2)
