"""Gives each row of logits its next token. It knows no text and no requests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.sampling.arrays import Floats
from inference.sampling.draw import Draw
from inference.sampling.logprobs import Logprob, logprob_of
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
        if not np.isfinite(top):
            return Sampled(NOT_A_NUMBER)
        token = self._choose(row, top, state)
        if token == NOT_A_NUMBER:
            return Sampled(NOT_A_NUMBER)
        state.accept(token)
        alternatives = state.params.logprobs
        if alternatives is None:
            return Sampled(token, None, state.finished)
        return Sampled(token, logprob_of(row, top, token, alternatives, self._scratch), state.finished)

    def _choose(self, row: Floats, top: np.float32, state: SamplerState) -> int:
        if not state.plain:
            np.copyto(self._scratch, row)
            row = self._scratch
            state.process(row)
            top = row.max()
        if not np.isfinite(top):
            return NOT_A_NUMBER
        if state.params.greedy:
            return int(row.argmax())
        return self._draw(row, top, state.params, state.generator.random())


def _greedy(logits: Floats) -> list[int]:
    tokens: list[int] = logits.argmax(axis=1).tolist()
    finite = np.isfinite(logits[np.arange(len(tokens)), tokens])
    if not finite.all():
        tokens = [token if good else NOT_A_NUMBER for token, good in zip(tokens, finite, strict=True)]
    return tokens
