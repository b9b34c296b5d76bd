"""Which slot holds what: a running sequence, or tokens kept for reuse. It moves contents and knows no policy."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from inference.plan import Copy, Swap
from inference.sequence import Sequence

MIN_KEPT = 2  # what one prompt token saves is less than keeping and finding it costs


@dataclass(slots=True)
class Slot:
    """A slot is busy with `sequence`, or idle and keeps the leading tokens `kept` (often none).

    `domain` says whose they are. `used` orders idle slots from least to most recently used; 0 where nothing is kept.
    `proven`: what is kept served another prompt before.
    """

    sequence: Sequence | None = None
    kept: list[int] = field(default_factory=list)
    domain: str = ""
    used: int = 0
    proven: bool = False

    @property
    def length(self) -> int:
        """Leading positions worth moving."""
        return len(self.kept) if self.sequence is None else self.sequence.written


class SlotTable:
    """All slots. Methods that change contents return the move that makes it so in the runner's cache."""

    def __init__(self, count: int) -> None:
        self._slots = [Slot() for _ in range(count)]
        self._clock = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, index: int) -> Slot:
        return self._slots[index]

    def idle(self) -> list[int]:
        return [index for index, slot in enumerate(self._slots) if slot.sequence is None]

    def oldest(self, besides: int = -1) -> int:
        """The idle slot to give up first: the least recently used one, but for half of all slots, which are spared if
        they are proven (segmented LRU, Karedla et al. 1994). So prompts that come once spare what many share.

        besides: another one, if there is any.
        """
        others = [index for index in self.idle() if index != besides] or self.idle()
        idle = sorted(others, key=lambda index: (self._slots[index].used, index))
        proven = [index for index in idle if self._slots[index].proven]
        spared = set(proven[max(len(proven) - len(self) // 2, 0) :])
        return next((index for index in idle if index not in spared), idle[0])

    def occupy(self, index: int, sequence: Sequence, reused: int, *, proven: bool = False) -> None:
        """The sequence takes an idle slot whose first `reused` tokens are its own. proven: they stay nowhere else."""
        slot = self._slots[index]
        assert slot.sequence is None
        slot.proven = proven
        slot.sequence, slot.kept, sequence.slot = sequence, [], index
        sequence.reuse(reused)

    def release(self, sequence: Sequence) -> None:
        """The sequence leaves; the slot keeps its exact tokens."""
        slot = self._slots[sequence.slot]
        assert slot.sequence is sequence
        slot.sequence, sequence.slot = None, -1
        kept = sequence.exact if sequence.exact >= MIN_KEPT else 0
        slot.kept, slot.domain = sequence.tokens[:kept], sequence.domain
        self._touch(slot)

    def forget(self, indices: Iterable[int]) -> None:
        """What these idle slots keep is no longer to be trusted."""
        for index in indices:
            self._slots[index].kept = []
            self._slots[index].used = 0
            self._slots[index].proven = False

    def longest_prefix(self, prompt: list[int], limit: int, domain: str) -> tuple[int, int]:
        """(slot, length) of the longest exact beginning of the prompt in any slot of its domain, of at most `limit`
        tokens.

        Of equally long ones an idle slot is preferred to a busy one, then the one with the least to lose.
        """
        best = (0, False, 0, 0)
        for index, slot in enumerate(self._slots):
            sequence = slot.sequence
            if domain != (slot.domain if sequence is None else sequence.domain):
                continue
            tokens, exact = (slot.kept, len(slot.kept)) if sequence is None else (sequence.tokens, sequence.exact)
            length = common_prefix(tokens, prompt, min(exact, limit))
            if length >= MIN_KEPT:
                best = max(best, (length, sequence is None, -exact, -index))
        return -best[3], best[0]

    def beginning_of(self, index: int) -> tuple[int, int]:
        """(slot, length) of the idle slot that keeps nothing but a beginning of what this idle one keeps, the longest;
        length 0: none does."""
        whole, domain = self._slots[index].kept, self._slots[index].domain
        best = (0, 0)
        for other, slot in enumerate(self._slots):
            if other != index and slot.sequence is None and slot.domain == domain:
                length = len(slot.kept)
                if length > best[0] and common_prefix(slot.kept, whole, min(length, len(whole))) == length:
                    best = length, other
        return best[1], best[0]

    def swap(self, a: int, b: int) -> Swap:
        move = Swap(a, self._slots[a].length, b, self._slots[b].length)
        self._slots[a], self._slots[b] = self._slots[b], self._slots[a]
        for index in (a, b):
            sequence = self._slots[index].sequence
            if sequence is not None:
                sequence.slot = index
        return move

    def shorten(self, index: int, length: int) -> None:
        """An idle slot keeps no more than its first `length` tokens."""
        del self._slots[index].kept[length:]

    def copy(self, source: int, target: int, length: int, start: int = 0) -> Copy:
        """The idle target keeps the source's first `length` tokens, which are exact, and nothing else; it has the first
        `start` already."""
        origin, slot = self._slots[source], self._slots[target]
        assert slot.sequence is None
        tokens, domain = origin.kept, origin.domain
        if origin.sequence is not None:
            tokens, domain = origin.sequence.tokens, origin.sequence.domain
        slot.kept, slot.domain = tokens[:length], domain
        slot.used, slot.proven = origin.used, origin.proven
        return Copy(source, target, length, start)

    def give_up_first(self, index: int) -> None:
        """What this idle slot keeps is kept elsewhere, too."""
        self._slots[index].used, self._slots[index].proven = 0, False

    def touch(self, index: int) -> None:
        """What this slot holds served another prompt just now."""
        self._slots[index].proven = True
        self._touch(self._slots[index])

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.used = self._clock if slot.kept else 0


def common_prefix(a: list[int], b: list[int], limit: int) -> int:
    """How many of the first `limit` tokens agree; compares slices, so long prefixes cost little."""
    low, high, stride = 0, limit, 64
    while low < limit:
        high = min(low + stride, limit)
        if a[low:high] != b[low:high]:
            break
        low, stride = high, stride * 2
    while high > low:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
