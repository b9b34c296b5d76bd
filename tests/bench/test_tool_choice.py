"""The sweep says for each threshold what share of either kind of question would lead to a call."""

from bench.tool_choice import SWEEP, sweep
from inference.call_choice import THRESHOLD
from tests.support.tool_questions import Question


def test_a_question_leads_to_a_call_from_its_score_downwards() -> None:
    asked = [Question((), "a", "f"), Question((), "b", "f"), Question((), "c", None)]
    rows = {threshold: (needed, needless) for threshold, needed, needless in sweep(asked, [-11.0, -13.0, -12.5])}
    assert [rows["-14"][0][:6], rows["-12.75"][0][:6], rows["-11"][0][:6]] == ["2 of 2", "1 of 2", "1 of 2"]
    assert [rows["-12.5"][1][:6], rows["-12.25"][1][:6]] == ["1 of 1", "0 of 1"]


def test_the_sweep_has_the_threshold_in_its_middle() -> None:
    assert SWEEP[len(SWEEP) // 2] == THRESHOLD
