"""Gives each row of logits its next token. It knows no text and no requests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.sampling.arrays import Floats
from inference.sampling.draw import Draw
from inference.sampling.logprobs import Logprob, logprob_of
from inference.sampling.search import Peaks
from inference.sampling.state import SamplerState

NOT_A_NUMBER = -1  # in place of a token, where the logits have no finite maximum


@dataclass(frozen=True, slots=True)
class Sampled:
    """A token, or NOT_A_NUMBER, its log-probability where one was asked for, and whether nothing may follow it."""

    token: int
    logprob: Logprob | None = None
    last: bool = False


class Sampler:
    """Samples one token per row, with work space for one vocabulary."""

    def __init__(self, vocab_size: int) -> None:
        self._draw = Draw(vocab_size)
        self._scratch: Floats = np.empty(vocab_size, np.float32)

    def sample(self, logits: Floats, states: Sequence[SamplerState]) -> list[Sampled]:
        """A token per row of `logits` [rows, vocab_size], accepted by its state; the logits are left as they are.

        The rows are taken in order, so one state may stand for several that follow each other.
        """
        if all(state.plain and state.params.greedy and state.params.logprobs is None for state in states):
            return [Sampled(token) for token in _greedy(logits)]
        return [self._sample_row(row, state) for row, state in zip(logits, states, strict=True)]

    def _sample_row(self, row: Floats, state: SamplerState) -> Sampled:
        top = row.max()
        if not math.isfinite(top):
            return Sampled(NOT_A_NUMBER)
        alternatives = state.params.logprobs
        peaks = Peaks(row, alternatives) if alternatives else None
        token = self._choose(row, top, state, peaks)
        if token is None:
            return Sampled(NOT_A_NUMBER)
        state.accept(token)
        if alternatives is None:
            return Sampled(token, None, state.finished)
        return Sampled(token, logprob_of(row, top, token, alternatives, peaks, self._scratch), state.finished)

    def _choose(self, row: Floats, top: np.float32, state: SamplerState, peaks: Peaks | None) -> int | None:
        """A token, or None if all are forbidden."""
        known = top if state.plain else None
        if not state.plain:
            np.copyto(self._scratch, row)
            row = self._scratch
            state.process(row)
        if state.params.greedy:
            token = int(row.argmax())
            return token if row[token] > -np.inf else None
        return self._draw(row, state.params, state.generator.random(), known, peaks)


def _greedy(logits: Floats) -> list[int]:
    tokens: list[int] = logits.argmax(axis=1).tolist()
    finite = np.isfinite(logits[np.arange(len(tokens)), tokens])
    if not finite.all():
        tokens = [token if good else NOT_A_NUMBER for token, good in zip(tokens, finite, strict=True)]
    return tokens
