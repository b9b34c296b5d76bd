"""Workloads are measured in turns, and their rates follow from the times."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from bench.prompts import Prompt, PromptMaker
from bench.protocol import Stream
from bench.workloads import (
    WORKLOADS,
    Workload,
    WorkloadError,
    check,
    measure,
    prompt_rate,
    stream_rate,
    total_rate,
)
from inference.model import ModelDirectory

SMALL = Workload("small", "two prompts", 2, 48, 10, total_rate)


@dataclass
class Fake:
    """Answers at once as if after `seconds`; `asked` is shared with others."""

    name: str
    seconds: float
    asked: list[tuple[str, tuple[Prompt, ...], int]] = field(default_factory=list)

    async def generate(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Stream]:
        self.asked.append((self.name, tuple(prompts), max_tokens))
        return [Stream(0.1, self.seconds, self.seconds, max_tokens) for _ in prompts]


def test_rates_follow_from_the_times() -> None:
    slow, quick = Stream(2.0, 12.0, 13.0, 101), Stream(1.0, 6.0, 6.5, 29)
    assert prompt_rate([slow]) == 256
    assert stream_rate([slow]) == 10
    assert total_rate([slow, quick]) == 10


async def test_systems_take_turns_with_the_same_prompts(model: ModelDirectory) -> None:
    asked: list[tuple[str, tuple[Prompt, ...], int]] = []
    systems = [Fake("a", 2.0, asked), Fake("b", 4.0, asked)]
    said: list[str] = []
    rates = await measure([SMALL], systems, PromptMaker(model, 1), 3, said.append)
    assert rates == {"small": {"a": [10.0] * 3, "b": [5.0] * 3}}
    measured = [call for call in asked if call[2] == SMALL.max_tokens]
    assert [name for name, _, _ in measured] == ["a", "b", "b", "a", "a", "b"]
    assert [first[1] == second[1] for first, second in zip(measured[::2], measured[1::2], strict=True)] == [True] * 3
    assert len({prompt.tokens for _, prompts, _ in measured for prompt in prompts}) == 6
    assert said == [f"{turn}/3 two prompts, tok/s: a 10, b 5" for turn in (1, 2, 3)]


def test_a_system_that_does_less_than_asked_is_not_timed() -> None:
    full, short = Stream(0.1, 1, 1, 10), Stream(0.1, 1, 1, 8)
    check(SMALL, "a", [full, full])
    for streams in ([full], [full, short]):
        with pytest.raises(WorkloadError, match=r"a, two prompts: . answers of .* tokens, not 20"):
            check(SMALL, "a", streams)
    with pytest.raises(WorkloadError, match="40 tokens of a prompt were not computed anew"):
        check(SMALL, "a", [full, Stream(0.1, 1, 1, 10, cached=40)])


def test_the_rates_are_taken_from_the_workloads_they_are_meant_for() -> None:
    single = {workload.rate for workload in WORKLOADS if workload.prompts == 1}
    assert single == {prompt_rate, stream_rate}
    assert [workload.length for workload in WORKLOADS if workload.rate is prompt_rate] == [512]
