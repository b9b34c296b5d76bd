"""When outputs are handed over."""

from dataclasses import replace

import pytest

from inference.engine import Outputs
from inference.pace import Pace
from inference.types import EngineStats, FinishReason, Output
from tests.inference.engine_tools import SMALL_CHUNKS, Listener, make_engine, request, scripted

READING, TOKEN = Output("", 0, 0, None), Output("A", 1, 0, None)
END = Output("", 1, 0, FinishReason.STOP)


class Clock:
    """Seconds that stand still until a test sets them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    """Of 40 ms, with the first tokens of the requests `r` and `long` just handed over."""
    pace = Pace(0.04, clock)
    assert pace.is_due([("r", TOKEN), ("long", TOKEN)])
    return pace


def test_further_tokens_wait_until_the_interval_is_over(pace: Pace, clock: Clock) -> None:
    due = []
    for clock.now in (0.01, 0.039, 0.041, 0.05, 0.08, 0.082):
        due.append(pace.is_due([("r", TOKEN)]))
    assert due == [False, False, True, False, False, True]


@pytest.mark.parametrize("awaited", [("r", END), ("other", READING), ("other", TOKEN), ("other", END)])
def test_an_end_a_beginning_and_a_first_token_take_along_all_that_waits(
    pace: Pace, awaited: tuple[str, Output]
) -> None:
    assert not pace.is_due([("long", TOKEN)])
    assert pace.is_due([("long", TOKEN), awaited])
    assert not pace.is_due([("long", TOKEN)]), "the interval begins anew"


def test_a_first_token_that_waits_for_nothing_is_a_first_one_only_once(pace: Pace) -> None:
    assert [pace.is_due([("other", TOKEN)]) for _ in range(3)] == [True, False, False]


def test_a_request_of_an_id_that_has_ended_begins_anew(pace: Pace) -> None:
    assert pace.is_due([("r", END)])
    assert pace.is_due([("r", TOKEN)])


def test_without_an_interval_everything_is_due(clock: Clock) -> None:
    pace = Pace(0.0, clock)
    assert all(pace.is_due([("r", TOKEN)]) for _ in range(3))


class HandOvers(Listener):
    """Counts the hand-overs that bring something."""

    count = 0

    def deliver(self, outputs: Outputs, stats: EngineStats) -> None:
        self.count += bool(outputs)
        super().deliver(outputs, stats)


@pytest.mark.parametrize(("interval", "hand_overs"), [(0.0, 5), (3600.0, 2)])
def test_an_engine_says_the_same_in_fewer_hand_overs(interval: float, hand_overs: int) -> None:
    """With an hour's interval those are the first token and the end."""
    listener = HandOvers()
    engine = make_engine(scripted("ABCD"), listener, replace(SMALL_CHUNKS, interval=interval))
    engine.submit(request("r"))
    engine.start()
    listener.until_ended("r")
    engine.close()
    assert [output.text for output in listener.outputs["r"]] == ["A", "B", "C", "D", ""]
    assert listener.count == hand_overs
