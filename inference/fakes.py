"""ScriptedRunner: a model for tests, without weights. It knows no requests.

It passes the same contract test as the real runner.
"""

import zlib
from collections import deque
from collections.abc import Callable, Container, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.runner import Logits

Reply = Callable[[tuple[int, ...]], Sequence[int] | None]
Gate = Callable[[str, int], None]

_CERTAIN = 80.0  # a logit that leaves every other token a probability below 1e-30


class ScriptedRunner:
    """Logits that follow from the tokens in a simulated cache, so that a wrong move shows in the output.

    reply: maps a whole prompt to the tokens of its answer, after which `end_token` follows; with `dict.get` a
    table of scripts will do. Where it returns None (and without one) the logits are pseudo-random, a hash of all
    tokens that the slot holds up to the current one.
    decoding_differs: a position written by a decode call or a chunk of one token leaves another trace in later
    logits, as with the real kernels, so that reusing it where it must not be shows.
    lone_rows_differ: so does a position that a decode call of one row writes.
    fail_at: numbers of the calls that raise RuntimeError; prefill, decode, swap and copy count from 0.
    gate: called as gate(name, number) before each call, on the thread that makes it, so that a test can hold a
    step, look and let it go. `calls` lists the last calls' names and arguments.
    """

    def __init__(
        self,
        slots: int = 4,
        max_length: int = 256,
        vocab_size: int = 64,
        *,
        reply: Reply | None = None,
        end_token: int = 0,
        decoding_differs: bool = False,
        lone_rows_differ: bool = False,
        fail_at: Container[int] = (),
        gate: Gate | None = None,
    ) -> None:
        self.slots, self.max_length, self.vocab_size = slots, max_length, vocab_size
        self.calls: deque[tuple[object, ...]] = deque(maxlen=10_000)
        self.closed = False
        self._reply, self._end_token, self._fail_at, self._gate = reply, end_token, fail_at, gate
        self._trace = vocab_size if decoding_differs else 0
        self._lone_trace = self._trace + (vocab_size if lone_rows_differ else 0)
        self._count = 0
        self._cache: NDArray[np.int32] = np.full((slots, max_length), -1, np.int32)
        self._prompt_lengths = [0] * slots

    def prefill(self, slot: int, tokens: Sequence[int], start: int, rows: int) -> Logits:
        self._enter("prefill", slot, tuple(tokens), start, rows)
        end = start + len(tokens)
        assert tokens, "a chunk has at least one token"
        assert 0 <= start < end <= self.max_length
        assert 0 <= rows <= len(tokens)
        self._cache[slot, start:end] = tokens
        self._cache[slot, start:end] += self._trace * (len(tokens) == 1)
        if rows <= 1:  # more are drafted tokens of an answer
            self._prompt_lengths[slot] = end
        logits = np.empty((rows, self.vocab_size), np.float32)
        for row, length in enumerate(range(end - rows + 1, end + 1)):
            logits[row] = self._logits(slot, length)
        return logits

    def decode(
        self, first_slot: int, tokens: Sequence[int], positions: Sequence[int], best: int | None = None
    ) -> Logits:
        self._enter("decode", first_slot, tuple(tokens), tuple(positions))
        assert 0 <= first_slot < first_slot + len(tokens) <= self.slots
        rows, trace = [], self._lone_trace if len(tokens) == 1 else self._trace
        for slot, (token, position) in enumerate(zip(tokens, positions, strict=True), first_slot):
            self._cache[slot, position] = token + trace
            rows.append(self._logits(slot, position + 1))
        logits = np.stack(rows)
        if best is not None:
            others = np.argsort(-logits, axis=1, kind="stable")[:, best:]
            np.put_along_axis(logits, others, -np.inf, axis=1)
        return logits

    def swap(self, a: int, length_a: int, b: int, length_b: int) -> None:
        self._enter("swap", a, length_a, b, length_b)
        from_a, from_b = self._cache[a, :length_a].copy(), self._cache[b, :length_b].copy()
        self._cache[a, :length_a] = self._cache[b, :length_b] = -1
        self._cache[a, :length_b], self._cache[b, :length_a] = from_b, from_a
        lengths = self._prompt_lengths
        lengths[a], lengths[b] = lengths[b], lengths[a]

    def copy(self, source: int, target: int, length: int, start: int = 0) -> None:
        self._enter("copy", source, target, length, start)
        self._cache[target, start:length] = self._cache[source, start:length]
        self._prompt_lengths[target] = self._prompt_lengths[source]

    def close(self) -> None:
        self.closed = True

    def _enter(self, name: str, *arguments: object) -> None:
        assert not self.closed, "no call follows close"
        number, self._count = self._count, self._count + 1
        self.calls.append((name, *arguments))
        if self._gate is not None:
            self._gate(name, number)
        if number in self._fail_at:
            raise RuntimeError(f"scripted failure of call {number}, {name}")

    def _logits(self, slot: int, length: int) -> Logits:
        held = self._cache[slot, :length]
        assert (held >= 0).all(), f"slot {slot} was not written up to position {length}"
        prompt_length = min(length, self._prompt_lengths[slot])
        answer = self._answer(held[:prompt_length] % self.vocab_size)
        if answer is None:
            generator = np.random.Generator(np.random.PCG64(zlib.crc32(held.tobytes())))
            return generator.standard_normal(self.vocab_size, dtype=np.float32)
        done = length - prompt_length
        logits = np.zeros(self.vocab_size, np.float32)
        logits[answer[done] if done < len(answer) else self._end_token] = _CERTAIN
        return logits

    def _answer(self, prompt: NDArray[np.int32]) -> Sequence[int] | None:
        return None if self._reply is None else self._reply(tuple(prompt.tolist()))
