"""Gaps between deltas are those of streams that ran all the while."""

from collections.abc import Mapping
from typing import Any

import pytest

from bench.pause import DELTAS, PROMPT_LENGTH, STREAMS, gaps_of, measure_pauses
from bench.prompts import Prompt, PromptMaker
from bench.protocol import Stream
from bench.results import Samples
from bench.rows import pause_row
from bench.sse_client import Answer
from bench.workloads import WorkloadError
from inference.model import ModelDirectory


def answer(*times: float) -> Answer:
    return Answer(Stream(times[0], times[-1], times[-1], len(times)), {}, times)


def steady(begin: float, end: float, pause: float = 0.1) -> list[float]:
    return [begin + pause * index for index in range(round((end - begin) / pause))]


def test_the_longest_gap_is_found_on_whichever_stream_it_is() -> None:
    calm, held_up = answer(*steady(0, 12)), answer(*steady(0, 5), *steady(5.7, 12))
    gaps = gaps_of([calm, held_up], sent=3, read=9)
    assert gaps[-1] == pytest.approx(0.8)
    assert gaps[0] == pytest.approx(0.1)


def test_the_gap_in_which_the_prompt_ends_counts() -> None:
    assert gaps_of([answer(*steady(0, 8.9), *steady(9.6, 12))], sent=3, read=9)[-1] == pytest.approx(0.8)


def test_gaps_before_the_prompt_and_after_it_are_not_counted() -> None:
    gaps = gaps_of([answer(*steady(0, 1), *steady(2, 9), *steady(11, 12))], sent=5, read=8)
    assert gaps[-1] == pytest.approx(0.1)


@pytest.mark.parametrize(("sent", "read"), [(0.1 * DELTAS / 2, 8), (3, 3.1), (3, 20)])
def test_streams_that_did_not_run_all_the_while_are_an_error(sent: float, read: float) -> None:
    with pytest.raises(WorkloadError):
        gaps_of([answer(*steady(0, 12))], sent, read)


class NotedPrompts(PromptMaker):
    """Says when it makes a prompt."""

    def __init__(self, model: ModelDirectory, log: list[str]) -> None:
        super().__init__(model, 1)
        self._log = log

    def make(self, length: int) -> Prompt:
        self._log.append("make")
        return super().make(length)


class SteadyServer:
    """Streams for a minute, whatever is asked."""

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self.lengths: list[int] = []

    async def ask(
        self, prompt: Prompt, max_tokens: int, *, start: float | None = None, parameters: Mapping[str, Any] = {}
    ) -> Answer:
        self._log.append("ask")
        self.lengths.append(len(prompt.tokens))
        # The streams began long before the prompt was sent, whose first token comes after ten seconds.
        return answer(*steady(-50, 50)) if start is not None else answer(10, 11)


async def test_all_prompts_are_made_before_a_stream_runs(model: ModelDirectory) -> None:
    """The client does nothing else while it makes one, so a gap of a stream would be its own."""
    log, said = list[str](), list[str]()
    server = SteadyServer(log)
    pauses = await measure_pauses(server, NotedPrompts(model, log), 1, said.append, head_start=0)
    assert log == ["make"] * (STREAMS + 1) + ["ask"] * (STREAMS + 1)
    assert server.lengths[-1] == PROMPT_LENGTH
    assert pauses.median == pytest.approx(0.1)
    assert "stolen" in said[0], "what others took is said"


def test_a_pause_is_held_to_the_target() -> None:
    assert [pause_row(Samples("answerd", [seconds], False)).met for seconds in (0.15, 0.151)] == [True, False]
