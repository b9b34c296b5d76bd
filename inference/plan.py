"""What one step does, as values. They know neither why nor how."""

from dataclasses import dataclass

from inference.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Swap:
    """Exchange the leading positions of two slots."""

    a: int
    length_a: int
    b: int
    length_b: int

    @property
    def positions(self) -> int:
        return self.length_a + self.length_b


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy the leading positions of one slot over those of another, from `start` on; those before are there already."""

    source: int
    target: int
    length: int
    start: int = 0

    @property
    def positions(self) -> int:
        return self.length - self.start


Move = Swap | Copy


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next tokens of the one prompt that is being read; `start` is the first one's position."""

    sequence: Sequence
    start: int
    length: int

    @property
    def last(self) -> bool:
        return self.start + self.length == self.sequence.prompt_length


@dataclass(frozen=True, slots=True)
class Decode:
    """One token for each sequence; sequence i sits in slot `first + i`."""

    first: int
    sequences: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Companion:
    """A row of no sequence beside one that would be computed alone; it writes to a position that nobody needs."""

    slot: int
    position: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One step: the moves in order, then the chunk, then the decode call.

    reading: where something moves, the sequence that has a slot and does not decode yet, if there is one: it may be the
    one whose prompt's beginning is moved.
    draft: tokens that may follow those of the one sequence that decodes, to be verified in the place of decoding.
    """

    moves: tuple[Move, ...]
    chunk: Chunk | None
    decode: Decode | None
    companion: Companion | None = None
    reading: Sequence | None = None
    draft: tuple[int, ...] = ()

    @property
    def lone(self) -> Sequence | None:
        """The sequence that this step is about, if it decodes and there is no other."""
        if self.chunk is not None or self.decode is None or len(self.decode.sequences) > 1:
            return None
        return self.decode.sequences[0]
