"""DRY: a penalty on the token that would prolong a repetition. It knows tokens and the bytes they stand for.

All is kept from the newest token to the oldest. The run of tokens that ends at some distance from the end follows from
the one that ended at that distance before, so a step costs one comparison of the whole sequence with the new token.
"""

from bisect import bisect_right
from collections.abc import Sequence
from copy import copy
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.sampling.arrays import Doubles, Flags, Floats, Ids, Indices
from inference.sampling.parameters import DryParams
from inference.sampling.penalties import LARGEST, lower

_T = TypeVar("_T", np.int32, np.bool_)
_NONE: tuple[Indices, Doubles] = np.empty(0, np.intp), np.empty(0)


class Dry:
    """The repetitions in one sequence's prompt and output.

    A place breaks a repetition if a sequence breaker ends in its token's text. A repetition is as long as the run of
    tokens that ends at an earlier place, ends the sequence too, and has no breaking place in it; what followed it
    there is what would prolong it.
    """

    __slots__ = (
        "_breakers",
        "_breaks",
        "_last_bytes",
        "_params",
        "_reach",
        "_room",
        "_runs",
        "_tail",
        "_token_bytes",
        "_tokens",
    )

    def __init__(self, params: DryParams, prompt: Sequence[int], token_bytes: Sequence[bytes]) -> None:
        """token_bytes: what each token id adds to the text. Takes a few microseconds a token of the prompt."""
        self._params, self._token_bytes = params, token_bytes
        self._breakers = _without_longer([breaker.encode() for breaker in params.sequence_breakers])
        self._last_bytes = frozenset(breaker[-1] for breaker in self._breakers)
        self._reach = max(map(len, self._breakers), default=1) - 1  # bytes that may begin a breaker
        self._room = max(len(prompt), 256)  # before the newest token
        pieces = [token_bytes[token] for token in prompt]
        self._tail = b"".join(pieces)[-self._reach :] if self._reach else b""
        self._tokens: Ids = _roomier(np.array(prompt[::-1], np.int32), self._room)
        self._breaks: Flags = _roomier(_breaking(pieces, self._breakers)[::-1], self._room)
        # By distance from the newest token, which itself is not among them.
        self._runs: Ids = np.zeros(len(self._tokens), np.int32)
        breaking = self._breaks[self._room :].nonzero()[0]
        unbroken = int(breaking[0]) if breaking.size else len(prompt)
        runs = _repetitions(prompt, unbroken)[1:]
        self._runs[: len(runs)] = runs

    def copy(self) -> Self:
        """The same repetitions, of a sequence that goes on by itself; far quicker than reading its prompt again."""
        other = copy(self)
        other._tokens, other._breaks, other._runs = self._tokens.copy(), self._breaks.copy(), self._runs.copy()
        return other

    def accept(self, token: int) -> None:
        """A token was generated."""
        if not self._room:
            self._room = len(self._tokens)
            self._runs = np.concatenate((self._runs, np.zeros_like(self._runs)))
            self._tokens, self._breaks = _roomier(self._tokens, self._room), _roomier(self._breaks, self._room)
        before, runs = self._tokens[self._room :], self._runs[: len(self._tokens) - self._room]
        runs += 1
        runs *= before == token
        self._room -= 1
        piece = self._token_bytes[token]
        self._tokens[self._room] = token
        if self._ends_breaker(piece):
            self._breaks[self._room] = True
            runs[:] = 0

    def losses(self) -> tuple[Indices, Doubles]:
        """The tokens that would prolong a repetition, and what they lose for it; of several values for one token the
        last counts: the longest repetition's."""
        distances: Indices = (self._runs >= max(self._params.allowed_length, 1)).nonzero()[0]
        if not distances.size:
            return _NONE
        distances = distances[~self._breaks[self._room + distances]]
        distances = distances[np.argsort(self._runs[distances], kind="stable")]
        followers = self._tokens[self._room + distances].astype(np.intp)
        return followers, self._penalties(self._runs[distances])

    def apply(self, row: Floats) -> None:
        """Subtract the losses in place."""
        tokens, losses = self.losses()
        if tokens.size:
            lower(row, tokens, losses, row[tokens].astype(np.float64))

    def _penalties(self, lengths: Ids) -> Doubles:
        with np.errstate(over="ignore"):
            growth = np.power(self._params.base, (lengths - self._params.allowed_length).astype(np.float64))
            return np.minimum(self._params.multiplier * growth, LARGEST)

    def _ends_breaker(self, piece: bytes) -> bool:
        text = self._tail + piece
        self._tail = text[-self._reach :] if self._reach else b""
        if self._last_bytes.isdisjoint(piece):
            return False
        before = len(text) - len(piece)
        return any(text.find(breaker, max(before - len(breaker) + 1, 0)) >= 0 for breaker in self._breakers)


def _roomier(array: NDArray[_T], room: int) -> NDArray[_T]:
    return np.concatenate((np.zeros(room, array.dtype), array))


def _without_longer(breakers: Sequence[bytes]) -> list[bytes]:
    """Without those that end with another one, which says the same: so at most one of them ends at a place."""
    distinct = set(breakers)
    return [
        breaker
        for breaker in sorted(distinct)
        if not any(breaker[place:] in distinct for place in range(1, len(breaker)))
    ]


def _breaking(pieces: Sequence[bytes], breakers: Sequence[bytes]) -> Flags:
    """For each piece of a text whether a breaker's last byte lies in it."""
    text = b"".join(pieces)
    ends: list[int] = np.cumsum([len(piece) for piece in pieces]).tolist()
    breaking = np.zeros(len(pieces), np.bool_)
    for breaker in breakers:
        start = text.find(breaker)
        while start >= 0:
            piece = bisect_right(ends, start + len(breaker) - 1)
            breaking[piece] = True
            # The first place from which a breaker reaches beyond this piece.
            start = text.find(breaker, ends[piece] - len(breaker) + 1)
    return breaking


def _repetitions(tokens: Sequence[int], limit: int) -> list[int]:
    """For each distance from the last token how long a run of tokens ends both there and at the end; at most `limit`.

    The Z algorithm (Gusfield 1997, section 1.4) on the tokens read backwards: linear, however they repeat.
    """
    backwards = tokens[::-1]
    size = len(backwards)
    lengths = [0] * size
    left = right = 0
    for place in range(1, size):
        length = min(lengths[place - left], right - place) if place < right else 0
        while place + length < size and backwards[length] == backwards[place + length]:
            length += 1
        if place + length > right:
            left, right = place, place + length
        lengths[place] = length
    return [min(length, limit) for length in lengths]
