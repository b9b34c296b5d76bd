"""Decides what each step does: which prompt is read, how much of it, which sequences decode, and what moves.

A pure state machine: the same calls give the same plans. Times are told to it. It knows no threads, arrays, text or
sampling.
"""

import sys
from collections import deque
from collections.abc import Iterable

from inference.chunk_budget import ChunkBudget
from inference.placement import admit, beginning, close_ranks, companion, fetch
from inference.plan import Chunk, Companion, Decode, Move, Plan
from inference.sequence import Sequence
from inference.slots import SlotTable

TILE = (
    128  # rows that ONNX Runtime multiplies by 4-bit weights at once; of a single one behind them it makes a lone row
)
COPIED_AT_ONCE = 1024  # positions that are moved in a step while others decode


class Scheduler:
    """Waiting sequences are served in order; one at a time is read in chunks; all others that have a slot decode.

    budget: says how many prompt tokens the next step may read. paired: a decoding row that would be computed alone
    gets a companion. copied: positions that are moved in a step while others decode.
    Between two plans the caller reports what became of the first one: `read`, `decoded`, `finish`, `discard`.
    """

    def __init__(self, slots: int, budget: ChunkBudget, *, paired: bool = False, copied: int = COPIED_AT_ONCE) -> None:
        assert slots >= 1
        assert copied >= 1
        self._budget, self._paired, self._copied = budget, paired, copied
        self._table = SlotTable(slots)
        self._waiting: deque[Sequence] = deque()
        self._reading: Sequence | None = None
        self._fetching = False  # whether a longer beginning of its prompt lies in another slot
        self._decoding: list[Sequence] = []  # in the order of their slots
        self._decode: Decode | None = None  # the last plan's, while it still holds

    @property
    def busy(self) -> bool:
        return bool(self._decoding or self._reading or self._waiting)

    @property
    def running(self) -> int:
        return len(self._decoding) + (self._reading is not None)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def table(self) -> SlotTable:
        """For reading only: what is where."""
        return self._table

    def add(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)

    def plan(self) -> Plan:
        """The next step. What it moves counts as moved."""
        moves: list[Move] = []
        if self._decode is None:
            moves += close_ranks(self._table, self._decoding, self._reading)
            self._decode = self._block()
        # Nobody waits for the end of a step in which nobody decodes.
        most = self._copied if self._decoding else sys.maxsize
        moves += self._admit(most - _positions(moves))
        chunk = None if _positions(moves) > most // 2 else self._next_chunk()
        return Plan(tuple(moves), chunk, self._decode, self._companion(chunk), self._reading if moves else None)

    def read(self, chunk: Chunk, seconds: float) -> None:
        """The chunk is in the cache; after a prompt's last one its sequence decodes from the next plan on."""
        self._budget.chunk_took(chunk.length, chunk.start, seconds)
        chunk.sequence.read(chunk.length)
        if chunk.sequence.prefilled:
            self._reading = None
            self._decoding.append(chunk.sequence)
            self._decode = None

    def decoded(self, decode: Decode, seconds: float) -> None:
        """The decode call's tokens are in the cache."""
        self._budget.decode_took(seconds)
        for sequence in decode.sequences:
            sequence.decoded(1)

    def verified(self, sequence: Sequence, tokens: int) -> None:
        """The lone sequence's last token is in the cache, and `tokens - 1` drafted ones that were accepted."""
        sequence.decoded(tokens)

    def finish(self, sequence: Sequence) -> None:
        """The sequence, in whatever state, has ended; its slot keeps what may be reused."""
        if self._leave(sequence):
            self._table.release(sequence)

    def discard(self, sequence: Sequence) -> None:
        """The sequence has ended in a failure; nothing in its slot is to be trusted."""
        if self._leave(sequence):
            slot = sequence.slot
            self._table.release(sequence)
            self._table.forget([slot])

    def forget(self) -> None:
        """Nothing that idle slots keep is to be trusted."""
        self._table.forget(self._table.idle())

    def _admit(self, most: int) -> list[Move]:
        """Slots for those that wait: for sequences that have begun, then for one to be read. And the beginnings of
        their prompts, as far as they lie elsewhere: at most so many positions."""
        moves: list[Move] = []
        while (left := most - _positions(moves)) > 0:
            if self._fetching and self._reading is not None:
                moves += fetch(self._table, self._reading, left)
            elif self._reading is not None:
                break
            elif self._waiting and self.running < len(self._table):
                moves += admit(self._table, self._waiting[0], self._block_slots(), left)
                if self._waiting[0].slot < 0:
                    break
                self._reading = self._waiting.popleft()
            else:
                break
            self._fetching = beginning(self._table, self._reading)[1] > self._reading.written
            if not self._reading.prefilled:
                break
            self._decoding.append(self._reading)
            self._reading = None
            # While it was fetched the block may have shrunk away from its slot.
            moves += close_ranks(self._table, self._decoding, None)
            self._decode = self._block()
        return moves

    def _leave(self, sequence: Sequence) -> bool:
        if sequence.slot < 0:
            self._waiting.remove(sequence)
            return False
        if sequence is self._reading:
            self._reading, self._fetching = None, False
        else:
            self._decoding.remove(sequence)
            self._decode = None
        return True

    def _block_slots(self) -> range:
        first = self._decode.first if self._decode else 0
        return range(first, first + len(self._decoding))

    def _block(self) -> Decode | None:
        self._decoding.sort(key=lambda sequence: sequence.slot)
        assert not self._decoding or self._decoding[-1].slot - self._decoding[0].slot == len(self._decoding) - 1
        return Decode(self._decoding[0].slot, tuple(self._decoding)) if self._decoding else None

    def _companion(self, chunk: Chunk | None) -> Companion | None:
        if not self._paired or self._decode is None or len(self._decode.sequences) % TILE != 1:
            return None
        return companion(self._table, self._block_slots(), chunk)

    def _next_chunk(self) -> Chunk | None:
        sequence = self._reading
        if sequence is None or self._fetching:
            return None
        size = self._budget.size(sequence.written, len(self._decoding))
        return Chunk(sequence, sequence.written, chunk_length(sequence.prompt_length - sequence.written, size))


def _positions(moves: Iterable[Move]) -> int:
    return sum(move.positions for move in moves)


def chunk_length(remaining: int, size: int) -> int:
    """At most `size` (3 where 2 would leave 1) of the remaining tokens, such that no row is computed alone: neither a
    single token that is left over nor a single row behind whole tiles."""
    length = min(remaining, size)
    if remaining - length == 1:
        length = length - 1 if length > 2 else remaining
    if length > 1 and length % TILE == 1:
        length -= 1 if length < remaining else 2
    return length
