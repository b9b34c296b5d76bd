"""What the benchmark prints and writes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.report import number, table, write_json
from bench.results import Row, Samples, Target

NOW = datetime(2026, 11, 22, 21, 5, 9, tzinfo=UTC)


def test_the_table_shows_medians_bests_ratios_and_verdicts() -> None:
    ours, theirs = Samples("ours", [400, 500, 300], True), Samples("llama.cpp", [200, 250, 100], True)
    rows = [
        Row("prompt", "tok/s", ours, theirs, Target(1.8, at_least=True)),
        Row("engine", "tok/s", ours, theirs, None),
        Row("memory", "MB", Samples("service", [1400], False), None, Target(1300, at_least=False)),
    ]
    assert table(rows).splitlines() == [
        "measure        ours       against               of medians  of bests  target  met",
        "-------------  ---------  --------------------  ----------  --------  ------  ---",
        "prompt, tok/s  400 (500)  llama.cpp: 200 (250)  2.00        2.00      ≥ 1.8   yes",
        "engine, tok/s  400 (500)  llama.cpp: 200 (250)  2.00        2.00",
        "memory, MB     1400                                                   ≤ 1300  NO",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1053.4, "1053"), (100.0, "100"), (99.95, "100"), (9.876, "9.88"), (0.0649, "0.0649"), (0, "0")],
)
def test_numbers_have_three_significant_digits_and_no_exponent(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_json_file_is_named_by_its_time_and_says_it(tmp_path: Path) -> None:
    path = write_json(tmp_path / "out", NOW, "-accuracy", {"target": "≥ 1"})
    assert path == tmp_path / "out" / "20261122-210509-accuracy.json"
    assert json.loads(path.read_text()) == {"when": "2026-11-22T21:05:09+00:00", "target": "≥ 1"}
