"""DRY: a penalty on the token that would prolong a repetition. It knows tokens and the bytes they stand for.

The length of the repetition at each earlier place follows from the one before it when a token is added, so a step
costs one comparison of the whole sequence with that token.
"""

from bisect import bisect_right
from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inference.sampling.arrays import Doubles, Floats, Ids, Indices
from inference.sampling.parameters import DryParams
from inference.sampling.penalties import LARGEST

Flags = NDArray[np.bool_]


class Dry:
    """The repetitions in one sequence's prompt and output.

    A place breaks a repetition if a sequence breaker ends in its token's text. A repetition is as long as the run of
    tokens that ends at an earlier place, ends the sequence too, and has no breaking place in it; what followed it
    there is what would prolong it.
    """

    __slots__ = ("_breakers", "_breaks", "_length", "_lengths", "_params", "_reach", "_tail", "_token_bytes", "_tokens")

    def __init__(self, params: DryParams, prompt: Sequence[int], token_bytes: Sequence[bytes]) -> None:
        """token_bytes: what each token id adds to the text. Takes a few microseconds a token of the prompt."""
        self._params, self._token_bytes = params, token_bytes
        self._breakers = _without_longer([breaker.encode() for breaker in params.sequence_breakers])
        self._reach = max(map(len, self._breakers), default=1) - 1  # bytes that may begin a breaker
        self._length = len(prompt)
        room = max(2 * self._length, 256)
        self._tokens: Ids = np.zeros(room, np.int32)
        self._tokens[: self._length] = prompt
        self._breaks: Flags = np.zeros(room, np.bool_)
        pieces = [token_bytes[token] for token in prompt]
        self._breaks[: self._length] = _breaking(pieces, self._breakers)
        self._tail = b"".join(pieces)[-self._reach :] if self._reach else b""
        self._lengths: Ids = np.zeros(room, np.int32)
        breaking = np.flatnonzero(self._breaks)
        unbroken = self._length - 1 - int(breaking[-1]) if breaking.size else self._length
        self._lengths[: self._length] = _repetitions(prompt, unbroken)

    def copy(self) -> Self:
        """The same repetitions, of a sequence that goes on by itself; far quicker than reading its prompt again."""
        other = copy(self)
        other._tokens, other._breaks, other._lengths = self._tokens.copy(), self._breaks.copy(), self._lengths.copy()
        return other

    def accept(self, token: int) -> None:
        """A token was generated."""
        if self._length == len(self._tokens):
            self._tokens, self._lengths = _doubled(self._tokens), _doubled(self._lengths)
            self._breaks = np.concatenate((self._breaks, np.zeros_like(self._breaks)))
        last, piece = self._length, self._token_bytes[token]
        self._tokens[last] = token
        self._breaks[last] = self._ends_breaker(piece)
        if self._breaks[last]:
            self._lengths[: last + 1] = 0
        else:
            longer = np.where(self._tokens[1:last] == token, self._lengths[: last - 1] + 1, 0)
            self._lengths[1:last] = longer
            self._lengths[0] = self._tokens[0] == token
        self._length += 1

    def apply(self, row: Floats) -> None:
        """Subtract, in place, the penalties of the tokens that would prolong a repetition, each for its longest one."""
        least = max(self._params.allowed_length, 1)
        places: Indices = np.flatnonzero(self._lengths[: self._length] >= least)
        places = places[~self._breaks[places + 1]]
        if not places.size:
            return
        # Of several values for one token the last is kept: the longest repetition's.
        places = places[np.argsort(self._lengths[places], kind="stable")]
        tokens = self._tokens[places + 1]
        row[tokens] = np.maximum(row[tokens] - self._penalties(self._lengths[places]), -LARGEST)

    def _penalties(self, lengths: Ids) -> Doubles:
        with np.errstate(over="ignore"):
            growth = np.power(self._params.base, (lengths - self._params.allowed_length).astype(np.float64))
            return np.minimum(self._params.multiplier * growth, LARGEST)

    def _ends_breaker(self, piece: bytes) -> bool:
        text = self._tail + piece
        self._tail = text[-self._reach :] if self._reach else b""
        before = len(text) - len(piece)
        return any(text.find(breaker, max(before - len(breaker) + 1, 0)) >= 0 for breaker in self._breakers)


def _doubled(array: Ids) -> Ids:
    return np.concatenate((array, np.zeros_like(array)))


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
    """For each place how long a run of tokens ends both there and at the end; at most `limit`.

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
    return [min(length, limit) for length in reversed(lengths)]
