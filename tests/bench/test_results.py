"""Medians, bests, ratios and verdicts."""

from bench.results import Row, Samples, Target


def rates(name: str, *values: float) -> Samples:
    return Samples(name, values, more_is_better=True)


def test_the_best_of_rates_is_the_highest_and_of_times_the_lowest() -> None:
    assert Samples("", [3, 1, 2], more_is_better=True).best == 3
    assert Samples("", [3, 1, 2], more_is_better=False).best == 1


def test_one_outlier_does_not_move_the_median() -> None:
    assert rates("", 10, 11, 900).median == 11


def test_a_comparison_is_judged_by_the_ratio_of_medians() -> None:
    row = Row("m", "tok/s", rates("ours", 10, 20, 60), rates("theirs", 10, 10, 15), Target(2, at_least=True))
    assert (row.ratio_of_medians, row.ratio_of_bests, row.met) == (2, 4, True)


def test_a_size_is_judged_by_itself() -> None:
    size = Samples("service", [1300.5], more_is_better=False)
    assert Row("m", "MB", size, None, Target(1300, at_least=False)).met is False
    assert Row("m", "MB", size, None, Target(1301, at_least=False)).met is True


def test_without_a_target_there_is_no_verdict() -> None:
    assert Row("m", "tok/s", rates("ours", 1), None, None).met is None


def test_the_json_has_every_value_and_the_verdict() -> None:
    row = Row("m", "tok/s", rates("ours", 4, 2, 3), rates("theirs", 2), Target(1.5, at_least=True))
    assert row.as_json() == {
        "measure": "m",
        "unit": "tok/s",
        "ours": {"name": "ours", "values": [4, 2, 3], "median": 3, "best": 4},
        "against": {"name": "theirs", "values": [2], "median": 2, "best": 2},
        "ratio_of_medians": 1.5,
        "ratio_of_bests": 2,
        "target": "≥ 1.5",
        "met": True,
    }
