"""Gives each row of logits its next token. It knows no text and no requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from inference.bitmask import Bitmask
from inference.sampling.arrays import Floats
from inference.sampling.compiled_rows import CompiledRows
from inference.sampling.logprobs import Logprob
from inference.sampling.numpy_rows import NumpyRows
from inference.sampling.rows import Drawn, Row, Rows
from inference.sampling.state import SamplerState

NOT_A_NUMBER = -1  # in place of a token, where the logits have no finite maximum


@dataclass(frozen=True, slots=True)
class Sampled:
    """A token, or NOT_A_NUMBER, its log-probability where one was asked for, and whether nothing may follow it."""

    token: int
    logprob: Logprob | None = None
    last: bool = False


class Sampler:
    """Samples one token per row."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @classmethod
    def of(cls, vocab_size: int, kernels: Path | None = None) -> Self:
        """With work space for one vocabulary. kernels: the compiled library, or None: numpy."""
        return cls(NumpyRows(vocab_size) if kernels is None else CompiledRows(vocab_size, kernels))

    def sample(self, logits: Floats, states: Sequence[SamplerState]) -> list[Sampled]:
        """A token per row of `logits` [rows, vocab_size], accepted by its state; the logits are left as they are.

        The rows are taken in order, so one state may stand for several that follow each other.
        """
        if all(state.plain and state.params.greedy and state.params.logprobs is None for state in states):
            return [Sampled(token) for token in _greedy(logits)]
        if len(set(states)) < len(states):
            return [self._sample(logits[place : place + 1], [state])[0] for place, state in enumerate(states)]
        return self._sample(logits, states)

    def _sample(self, logits: Floats, states: Sequence[SamplerState]) -> list[Sampled]:
        rows = [Row(place, state, _asked_before(state, logits[place])) for place, state in enumerate(states)]
        drawn = self._rows(logits, rows)
        refused = _refused(logits, rows, drawn)
        if refused:
            for row, again in zip(refused, self._rows(logits, refused), strict=True):
                drawn[row.place] = again
        return [_accepted(each, state) for each, state in zip(drawn, states, strict=True)]


def _asked_before(state: SamplerState, row: Floats) -> Bitmask | None:
    return None if state.constraint is None or state.draws_first else state.constraint.bitmask(row)


def _refused(logits: Floats, rows: Sequence[Row], drawn: Sequence[Drawn]) -> list[Row]:
    """Those to be drawn again, from what their constraints allow."""
    refused = []
    for (place, state, _), each in zip(rows, drawn, strict=True):
        constraint = state.constraint
        if constraint is not None and state.draws_first and each is not None and not constraint.allows(each[0]):
            refused.append(Row(place, state, constraint.bitmask(logits[place])))
    return refused


def _accepted(drawn: Drawn, state: SamplerState) -> Sampled:
    if drawn is None:
        return Sampled(NOT_A_NUMBER)
    token, logprob = drawn
    state.accept(token)
    return Sampled(token, logprob, state.finished)


def _greedy(logits: Floats) -> list[int]:
    tokens: list[int] = logits.argmax(axis=1).tolist()
    finite = np.isfinite(logits[np.arange(len(tokens)), tokens])
    if not finite.all():
        tokens = [token if good else NOT_A_NUMBER for token, good in zip(tokens, finite, strict=True)]
    return tokens
