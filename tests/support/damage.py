"""Hypothesis strategies that damage the bytes of a file, at any place and above all at places that mean something."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

# Counts, lengths, offsets and sizes that no file means.
NUMBERS = (
    0,
    1,
    2,
    7,
    12,
    255,
    2**12,
    2**16,
    2**20,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**33,
    2**40,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
)


@dataclass(frozen=True)
class Edit:
    """From `place` on, `removed` bytes give way to others."""

    place: int
    removed: int
    inserted: bytes

    def apply(self, data: bytes) -> bytes:
        return data[: self.place] + self.inserted + data[self.place + self.removed :]


def edits(size: int, places: Sequence[int]) -> st.SearchStrategy[list[Edit]]:
    """One to three edits of a file of `size` bytes. places: where its counts, lengths and types stand."""
    place = st.sampled_from(places) | st.integers(0, size - 1)
    numbers = st.sampled_from(NUMBERS).map(lambda number: struct.pack("<Q", number)) | st.sampled_from(
        [struct.pack("<I", number % 2**32) for number in NUMBERS]
    )
    overwritten = st.builds(lambda at, new: Edit(at, len(new), new), place, numbers | st.binary(min_size=1, max_size=8))
    inserted = st.builds(lambda at, new: Edit(at, 0, new), place, st.binary(min_size=1, max_size=40))
    removed = st.builds(lambda at, count: Edit(at, count, b""), place, st.integers(1, 40))
    cut = st.builds(lambda at: Edit(at, size, b""), place)
    return st.lists(st.one_of(overwritten, overwritten, overwritten, inserted, removed, cut), min_size=1, max_size=3)


def damaged(data: bytes, changes: Sequence[Edit]) -> bytes:
    for change in changes:
        data = change.apply(data)
    return data
