"""Sets of tokens, a bit for each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bitmask import all_of, forbid_others, only, without

SIZES = st.integers(1, 300)


@given(SIZES, st.data())
def test_logits_of_a_set_stay_and_all_others_become_infinitely_small(size: int, data: st.DataObject) -> None:
    tokens = data.draw(st.sets(st.integers(0, size - 1)))
    logits = np.arange(size, dtype=np.float32)
    forbid_others(logits, only(size, sorted(tokens)))
    assert set(np.flatnonzero(logits == np.arange(size)).tolist()) == tokens
    assert np.isneginf(np.delete(logits, sorted(tokens))).all()


@given(SIZES, st.data())
def test_what_is_taken_out_of_a_set_is_not_in_it_any_more(size: int, data: st.DataObject) -> None:
    kept, taken = (data.draw(st.sets(st.integers(0, size - 1))) for _ in range(2))
    before = only(size, sorted(kept))
    np.testing.assert_array_equal(without(before, sorted(taken)), only(size, sorted(kept - taken)))
    np.testing.assert_array_equal(before, only(size, sorted(kept)))


@pytest.mark.parametrize("size", [1, 32, 33, 49_152, 49_153])
def test_a_set_covers_its_vocabulary_in_whole_words(size: int) -> None:
    assert all_of(size).nbytes % 4 == 0
    assert size <= all_of(size).nbytes * 8 < size + 32
    np.testing.assert_array_equal(
        only(size, [size - 1]), without(all_of(size), np.arange(size - 1)) & only(size, [size - 1])
    )
