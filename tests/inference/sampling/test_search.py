"""The search finds the largest values of a row, whatever it knows of another one."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.sampling.arrays import Floats
from inference.sampling.search import Peaks, largest


def row_of(size: int, distinct: int, finite: float, random: np.random.Generator) -> Floats:
    row = random.integers(0, distinct, size).astype(np.float32)
    row[random.random(size) > finite] = -math.inf
    return row


rows = st.builds(
    row_of,
    size=st.integers(1, 3000),
    distinct=st.sampled_from([2, 50, 10**6]),
    finite=st.sampled_from([0.01, 1.0]),
    random=st.integers(0, 2**32).map(np.random.default_rng),
)


def check(row: Floats, found: list[int], count: int) -> None:
    first = np.argsort(-row, kind="stable")[:count]
    assert set(first[row[first] > -math.inf]) <= set(found)
    assert (row[found] > -math.inf).all()
    assert found == sorted(set(found))
    assert len(found) <= 2 * count


@given(row=rows, count=st.integers(1, 1000))
@settings(max_examples=200, deadline=None)
def test_the_largest_are_those_of_a_sorted_row(row: Floats, count: int) -> None:
    check(row, largest(row, count).tolist(), count)


@given(row=rows, count=st.integers(1, 100), known=st.integers(1, 200), changed=st.sampled_from([0, 5, 500]))
@settings(max_examples=200, deadline=None)
def test_the_peaks_of_another_row_do_not_mislead(row: Floats, count: int, known: int, changed: int) -> None:
    peaks, random = Peaks(row, known), np.random.default_rng(changed)
    row[random.integers(0, row.size, changed)] += random.choice([-(10**7), 10**7], changed)
    check(row, largest(row, count, peaks).tolist(), count)
