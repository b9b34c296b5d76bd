"""Gaps between deltas are those of streams that ran all the while."""

import pytest

from bench.pause import DELTAS, gaps_of
from bench.protocol import Stream
from bench.results import Samples
from bench.rows import pause_row
from bench.sse_client import Answer
from bench.workloads import WorkloadError


def answer(*times: float) -> Answer:
    return Answer(Stream(times[0], times[-1], times[-1], len(times)), {}, times)


def steady(begin: float, end: float, pause: float = 0.1) -> list[float]:
    return [begin + pause * index for index in range(round((end - begin) / pause))]


def test_the_longest_gap_is_found_on_whichever_stream_it_is() -> None:
    calm, held_up = answer(*steady(0, 12)), answer(*steady(0, 5), *steady(5.7, 12))
    gaps = gaps_of([calm, held_up], sent=3, read=9)
    assert gaps[-1] == pytest.approx(0.8)
    assert gaps[0] == pytest.approx(0.1)


def test_gaps_before_the_prompt_and_after_it_are_not_counted() -> None:
    gaps = gaps_of([answer(*steady(0, 1), *steady(2, 9), *steady(11, 12))], sent=5, read=8)
    assert gaps[-1] == pytest.approx(0.1)


@pytest.mark.parametrize(("sent", "read"), [(0.1 * DELTAS / 2, 8), (3, 3.1), (3, 20)])
def test_streams_that_did_not_run_all_the_while_are_an_error(sent: float, read: float) -> None:
    with pytest.raises(WorkloadError):
        gaps_of([answer(*steady(0, 12))], sent, read)


def test_a_pause_is_held_to_the_target() -> None:
    assert [pause_row(Samples("answerd", [seconds], False)).met for seconds in (0.15, 0.151)] == [True, False]
