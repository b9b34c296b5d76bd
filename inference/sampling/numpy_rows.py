"""Draws from rows with numpy, one after the other. It knows no text and no requests."""

import math
from collections.abc import Sequence

import numpy as np

from inference.bitmask import Bitmask
from inference.sampling.arrays import Floats
from inference.sampling.draw import Draw
from inference.sampling.logprobs import logprob_of
from inference.sampling.rows import Drawn, Row
from inference.sampling.search import Peaks
from inference.sampling.state import SamplerState


class NumpyRows:
    """Rows on any machine."""

    def __init__(self, vocab_size: int) -> None:
        self._draw = Draw(vocab_size)
        self._scratch: Floats = np.empty(vocab_size, np.float32)

    def __call__(self, logits: Floats, rows: Sequence[Row]) -> list[Drawn]:
        return [self._drawn(logits[place], state, allowed) for place, state, allowed in rows]

    def _drawn(self, row: Floats, state: SamplerState, allowed: Bitmask | None) -> Drawn:
        top = row.max()
        if not math.isfinite(top):
            return None
        alternatives = state.params.logprobs
        peaks = Peaks(row, alternatives) if alternatives else None
        token = self._choose(row, top, state, allowed, peaks)
        if token is None or alternatives is None:
            return None if token is None else (token, None)
        return token, logprob_of(row, top, token, alternatives, peaks, self._scratch)

    def _choose(
        self, row: Floats, top: np.float32, state: SamplerState, allowed: Bitmask | None, peaks: Peaks | None
    ) -> int | None:
        """A token, or None if all are forbidden."""
        known = top if state.plain else None
        if not state.plain:
            np.copyto(self._scratch, row)
            row = self._scratch
            state.process(row, allowed)
        if state.params.greedy:
            token = int(row.argmax())
            return token if row[token] > -np.inf else None
        return self._draw(row, state.params, state.generator.random(), known, peaks)
