"""The halves of the list are alike, and no tool of one is known from the other."""

import pytest

from tests.support.tool_questions import HALVES, Half, Question, Share, Tally, questions, tally


@pytest.mark.parametrize("half", HALVES)
def test_half_of_the_questions_need_a_tool(half: Half) -> None:
    asked = questions(half)
    assert len(asked) == len({question.text for question in asked}) == 120
    assert sum(question.call is not None for question in asked) == 60


def test_the_halves_share_no_tool_and_no_question() -> None:
    tuning, held_back = map(questions, HALVES)
    assert not {tool["name"] for each in tuning for tool in each.tools} & {
        tool["name"] for each in held_back for tool in each.tools
    }
    assert not {each.text for each in tuning} & {each.text for each in held_back}


def test_the_halves_offer_as_many_tools() -> None:
    tuning, held_back = ([len(question.tools) for question in questions(half)] for half in HALVES)
    assert tuning == held_back


@pytest.mark.parametrize(
    ("count", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (7, 10, 0.3968, 0.8922), (50, 100, 0.4038, 0.5962)]
)
def test_the_interval_is_wilsons(count: int, total: int, low: float, high: float) -> None:
    assert Share(count, total).interval == pytest.approx((low, high), abs=1e-4)


def test_only_the_needed_tool_counts_and_any_call_where_none_is_needed() -> None:
    needs, other = Question((), "a", "f"), Question((), "b", None)
    asked = [(needs, ["f", "g"]), (needs, ["g", "f"]), (needs, []), (other, []), (other, ["f"])]
    assert tally(asked) == Tally(right=Share(1, 3), needless=Share(1, 2))


@pytest.mark.parametrize(("right", "needless", "kept"), [(7, 3, True), (6, 3, False), (7, 4, False)])
def test_seven_of_ten_and_three_of_ten_are_promised(right: int, needless: int, kept: bool) -> None:
    assert Tally(Share(right, 10), Share(needless, 10)).is_as_promised is kept
