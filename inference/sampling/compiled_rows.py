"""Draws from rows in one call of the compiled kernels (inference/kernels/sampling.h). It knows no text and no requests.

The call keeps the interpreter's lock, as numpy's short ones do: to let go of it and wait for it takes longer.
"""

import ctypes
from collections.abc import Sequence
from ctypes import Structure, byref, c_double, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from inference.bitmask import Bitmask
from inference.sampling.arrays import Doubles, Floats, Indices
from inference.sampling.logprobs import Logprob
from inference.sampling.rows import Drawn, Row
from inference.sampling.state import SamplerState

_LANES = 16  # of the longest vectors
_MOST = 20  # alternatives


class _Work(Structure):
    _fields_ = [("size", c_size_t), ("padded", c_size_t)] + [
        (name, c_void_p) for name in ("logits", "weights", "found", "spare")
    ]


class _Changes(Structure):
    _fields_ = [("tokens", c_void_p), ("values", c_void_p), ("count", c_size_t)]


class _Cuts(Structure):
    _fields_ = [(name, c_double) for name in ("temperature", "top_p", "min_p", "uniform")] + [("top_k", c_int64)]


class _Row(Structure):
    _fields_ = [
        ("logits", c_void_p),
        ("allowed", c_void_p),
        ("biases", _Changes),
        ("losses", _Changes),
        ("repeats", _Changes),
        ("repetition", c_double),
        ("cuts", _Cuts),
        ("greedy", c_int64),
        ("alternatives", c_int64),
    ]


class _Results(Structure):
    _fields_ = [(name, c_void_p) for name in ("token", "logprob", "tokens", "logprobs")]


class _Asked:
    """What one request asks for, as the kernels take it, with the arrays that it points to."""

    def __init__(self, state: SamplerState, size: int) -> None:
        params = state.params
        self.alternatives = None if params.logprobs is None else min(params.logprobs, _MOST, size)
        self.row = _Row(
            repetition=state.penalties.repetition,
            cuts=_Cuts(params.temperature, params.top_p, params.min_p, 0.0, params.top_k),
            greedy=params.greedy,
            alternatives=-1 if self.alternatives is None else self.alternatives,
        )
        self.address = ctypes.addressof(self.row)
        self._arrays: dict[str, tuple[Indices, Doubles]] = {}  # kept alive
        self._allowed: Bitmask | None = None
        self._change("biases", self.row.biases, state.bias.tokens, state.bias.values, len(state.bias.tokens))

    def prepare(self, logits: int, allowed: Bitmask | None, state: SamplerState) -> None:
        """For the next draw. logits: the row's address. allowed: as long as the kernels' vectors ask for."""
        row = self.row
        row.logits = logits
        self._allowed = allowed
        row.allowed = None if allowed is None else allowed.ctypes.data
        if state.penalties:
            self._change("losses", row.losses, state.penalties.tokens, state.penalties.losses, len(state.penalties))
        if state.dry is not None:
            tokens, losses = state.dry.losses()
            self._change("repeats", row.repeats, tokens, losses, len(tokens))
        if not row.greedy:
            row.cuts.uniform = state.generator.random()

    def _change(self, kind: str, changes: Any, tokens: Indices, values: Doubles, count: int) -> None:
        """The first `count` of these tokens are to be changed by these values."""
        changes.count = count
        known = self._arrays.get(kind)
        if known is None or known[0] is not tokens:
            self._arrays[kind] = tokens, values
            changes.tokens, changes.values = tokens.ctypes.data, values.ctypes.data


class _Drawings:
    """Room for what is drawn from some rows."""

    def __init__(self, rows: int) -> None:
        self._token, self._logprob = np.empty(rows, np.int64), np.empty(rows)
        self._tokens, self._logprobs = np.empty((rows, _MOST), np.int64), np.empty((rows, _MOST))
        self._arrays = self._token, self._logprob, self._tokens, self._logprobs
        self.pointers = byref(_Results(*(array.ctypes.data for array in self._arrays)))

    def read(self, alternatives: Sequence[int | None]) -> list[Drawn]:
        """alternatives: of each row how many were reported; None: no log-probability either."""
        columns = (array.tolist() for array in self._arrays)
        return [
            None
            if token < 0
            else (token, None if count is None else Logprob(token, logprob, tokens[:count], values[:count]))
            for count, token, logprob, tokens, values in zip(alternatives, *columns, strict=True)
        ]


class CompiledRows:
    """Rows on machines that compile the kernels. library: theirs."""

    def __init__(self, vocab_size: int, library: Path) -> None:
        self._size = vocab_size
        self._sample = ctypes.PyDLL(str(library)).answerd_sample
        self._sample.argtypes, self._sample.restype = [c_void_p, c_void_p, c_size_t, c_void_p], None
        self._padded = padded = -(-vocab_size // _LANES) * _LANES
        floats, candidates = np.full((2, padded), -np.inf, np.float32), np.zeros((2, padded), np.uint64)
        self._arrays = [*floats, *candidates]
        self._work = byref(_Work(vocab_size, padded, *(array.ctypes.data for array in self._arrays)))
        self._asked: WeakKeyDictionary[SamplerState, _Asked] = WeakKeyDictionary()

    def __call__(self, logits: Floats, rows: Sequence[Row]) -> list[Drawn]:
        assert logits.dtype == np.float32
        assert logits.shape[1] == self._size
        assert logits.strides[1] == logits.itemsize
        first, step = logits.ctypes.data, logits.strides[0]
        asked = [self._of(state) for _, state, _ in rows]
        for each, (place, state, allowed) in zip(asked, rows, strict=True):
            assert 0 <= place < len(logits)
            assert allowed is None or len(allowed) * 8 >= self._padded
            each.prepare(first + place * step, allowed, state)
        addresses = (c_void_p * len(asked))(*(each.address for each in asked))
        results = _Drawings(len(asked))
        self._sample(self._work, addresses, len(asked), results.pointers)
        return results.read([each.alternatives for each in asked])

    def _of(self, state: SamplerState) -> "_Asked":
        asked = self._asked.get(state)
        if asked is None:
            asked = self._asked[state] = _Asked(state, self._size)
        return asked
