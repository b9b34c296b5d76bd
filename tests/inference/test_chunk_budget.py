"""Chunks take about the time that they may, whatever the machine, the past and the disturbances."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.chunk_budget import LEAST, LEAST_SHARE, ChunkBudget
from inference.costs import ONNX_RUNTIME, OWN_KERNELS

PAUSE, ALONE = 0.13, 0.2


def budget(largest: int = 512) -> ChunkBudget:
    return ChunkBudget(largest, largest, pause=PAUSE, pause_alone=ALONE)


class Machine:
    """Takes `fixed` seconds for a token and `slope` more for each position before it, and as much as attention of
    `reading` tokens for reading the past; give or take `noise`."""

    def __init__(self, fixed: float, slope: float, reading: float = 20, noise: float = 0.0, seed: int = 1) -> None:
        self._fixed, self._slope, self._reading, self._noise = fixed, slope, reading, noise
        self._random = random.Random(seed)

    def chunk(self, tokens: int, past: int) -> float:
        seconds = tokens * self._fixed + (tokens + self._reading) * self._slope * (past + tokens / 2)
        return seconds * (1 + self._noise * self._random.uniform(-1, 1))

    def read(self, budget: ChunkBudget, prompt: int, rows: int, decode: float, start: int = 0) -> list[float]:
        """The seconds of each step while a prompt is read beside so many rows, after `start` cached tokens."""
        steps, past = list[float](), start
        while past < prompt:
            tokens = min(budget.size(past, rows), prompt - past)
            seconds = self.chunk(tokens, past)
            budget.chunk_took(tokens, past, seconds)
            if rows:
                budget.decode_took(decode)
            steps.append(seconds + decode * bool(rows))
            past += tokens
        return steps


DEFAULT_MODEL: tuple[float, float, float] = (0.0021, 5.3e-7, 20)  # as on two cores with ONNX Runtime's kernels
WITH_OWN_KERNELS: tuple[float, float, float] = (0.0006, 4.6e-7, OWN_KERNELS.reading)


def test_the_first_chunk_is_small() -> None:
    assert budget().size(0, 0) == budget().size(0, 3) == 32
    assert budget(largest=20).size(0, 0) == 20


def test_no_step_of_a_long_prompt_takes_much_longer_than_the_pause() -> None:
    steps = Machine(*DEFAULT_MODEL).read(budget(), 8000, rows=4, decode=0.02)
    assert max(steps) < 1.15 * PAUSE
    assert sum(steps) / len(steps) > 0.8 * PAUSE, "no smaller chunks than needed"


def test_a_noisy_machine_gets_smaller_chunks_and_keeps_near_the_pause() -> None:
    steps = Machine(*DEFAULT_MODEL, noise=0.2).read(budget(), 8000, rows=4, decode=0.02)
    assert max(steps) < 1.2 * PAUSE
    assert sum(steps) / len(steps) > 0.6 * PAUSE


def test_the_default_leaves_room_for_a_machine_as_noisy_as_a_shared_one() -> None:
    """Streams are promised that they wait for 0.15 s at most; steps of the same size differ by a third there."""
    for model, costs, decode in ((DEFAULT_MODEL, ONNX_RUNTIME, 0.022), (WITH_OWN_KERNELS, OWN_KERNELS, 0.012)):
        for seed in range(5):
            chunks = ChunkBudget(256, 512, costs)
            steps = Machine(*model, noise=0.25, seed=seed).read(chunks, 8000, rows=4, decode=decode)
            assert max(steps) < 0.15
            assert sum(steps) / len(steps) > 0.065, "no smaller chunks than needed"


def test_alone_a_chunk_may_take_longer() -> None:
    steps = Machine(*DEFAULT_MODEL).read(budget(), 8000, rows=0, decode=0)
    assert PAUSE < sum(steps) / len(steps) < ALONE
    assert max(steps) < 1.15 * ALONE


def test_a_prompt_found_in_the_cache_to_its_far_end_starts_with_small_chunks() -> None:
    """What was learned at short pasts is not held true for long ones."""
    machine, chunks = Machine(*DEFAULT_MODEL), budget()
    machine.read(chunks, 1000, rows=4, decode=0.02)
    assert max(machine.read(chunks, 8000, rows=4, decode=0.02, start=7000)) < 1.4 * PAUSE


def test_a_new_prompt_after_a_long_one_starts_with_large_chunks_soon() -> None:
    machine, chunks = Machine(*DEFAULT_MODEL), budget()
    machine.read(chunks, 8000, rows=4, decode=0.02)
    steps = machine.read(chunks, 500, rows=4, decode=0.02)
    assert max(steps) < 1.3 * PAUSE
    assert steps[2] > 0.7 * PAUSE


def test_a_slow_decode_call_leaves_a_share_to_the_chunk() -> None:
    chunks = budget()
    chunks.chunk_took(50, 0, 0.05)
    chunks.decode_took(0.5)
    assert chunks.size(0, 16) == int(PAUSE * LEAST_SHARE / 0.001)


def test_one_disturbed_chunk_is_soon_forgotten() -> None:
    machine, chunks = Machine(*DEFAULT_MODEL), budget()
    machine.read(chunks, 1000, rows=4, decode=0.02)
    usual = chunks.size(1000, 4)
    chunks.chunk_took(usual, 1000, 1.0)
    assert chunks.size(1000, 4) < usual
    machine.read(chunks, 1500, rows=4, decode=0.02, start=1000)
    assert chunks.size(1000, 4) > 0.6 * usual
    machine.read(chunks, 8000, rows=4, decode=0.02, start=1000)
    machine.read(chunks, 1000, rows=4, decode=0.02)
    assert chunks.size(1000, 4) > 0.9 * usual


@pytest.mark.parametrize("fixed", [1e-6, 1e-4, 1e-2])
def test_fast_and_slow_machines_get_the_chunks_that_suit_them(fixed: float) -> None:
    chunks = budget(largest=5000)
    Machine(fixed, fixed / 4000).read(chunks, 20000, rows=1, decode=0.0)
    wanted = (PAUSE - 20 * fixed * 10000 / 4000) / (fixed * (1 + 10000 / 4000))
    assert chunks.size(10000, 1) == pytest.approx(min(max(wanted, LEAST), 5000), rel=0.2, abs=1)


@given(
    st.lists(st.tuples(st.integers(1, 512), st.integers(0, 100_000), st.floats(0, 1e3)), max_size=30),
    st.integers(2, 600),
    st.integers(0, 100_000),
    st.integers(0, 16),
)
def test_any_times_give_a_size_within_the_bounds(
    chunks: list[tuple[int, int, float]], largest: int, past: int, rows: int
) -> None:
    told = budget(largest)
    for tokens, start, seconds in chunks:
        told.chunk_took(tokens, start, seconds)
        told.decode_took(seconds)
    assert 2 <= told.size(past, rows) <= largest
