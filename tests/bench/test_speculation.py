"""Two systems take turns over the same tasks."""

from collections.abc import Sequence

from bench.prompts import Prompt, PromptMaker
from bench.protocol import Stream
from bench.results import Samples
from bench.rows import speculation_rows
from bench.speculation import TASKS, measure_speculation, rate
from inference.model import ModelDirectory


class Answerer:
    """Gives eleven tokens in as many seconds as it is told."""

    def __init__(self, name: str, seconds: float, asked: list[str]) -> None:
        self.name, self._seconds, self._asked = name, seconds, asked

    async def generate(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Stream]:
        self._asked.append(self.name)
        return [Stream(1, 1 + self._seconds, 1 + self._seconds, 11) for _ in prompts]


async def test_both_systems_get_all_tasks_and_each_is_first_with_every_other(model: ModelDirectory) -> None:
    asked: list[str] = []
    systems = [Answerer("with", 1.0, asked), Answerer("without", 2.0, asked)]
    rates = await measure_speculation(systems, PromptMaker(model, 1), 2, lambda line: None)
    assert {kind: (ours.values, against.values) for kind, (ours, against) in rates.items()} == {
        kind: ([10.0, 10.0], [5.0, 5.0]) for kind in TASKS
    }
    tasks = sum(map(len, TASKS.values()))
    assert asked.count("with") == asked.count("without") == 2 * tasks
    assert abs(asked[::2].count("with") - tasks) <= 1


def test_answers_count_by_their_tokens_and_times() -> None:
    assert rate([Stream(1, 2, 2, 11), Stream(1, 4, 5, 31)]) == 10


def test_gain_and_cost_are_held_to_the_targets() -> None:
    def pair(ours: float) -> tuple[Samples, Samples]:
        return Samples("with", [ours], True), Samples("without", [100.0], True)

    rows = speculation_rows({"repeats": pair(180), "ordinary": pair(95)})
    assert [row.met for row in rows] == [True, True]
    assert [row.met for row in speculation_rows({"repeats": pair(179), "ordinary": pair(94)})] == [False, False]
