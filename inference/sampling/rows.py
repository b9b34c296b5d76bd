"""What draws from rows of logits. The sampler knows it by this alone."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from inference.bitmask import Bitmask
from inference.sampling.arrays import Floats
from inference.sampling.logprobs import Logprob
from inference.sampling.state import SamplerState

Drawn: TypeAlias = tuple[int, Logprob | None] | None
"""A token and, where it was asked for, its log-probability; None where no token can be drawn, because all are forbidden
or the largest logit is not finite."""


class Row(NamedTuple):
    """place: of the row among the logits. state: its sequence's. allowed: what may be drawn; None: all tokens."""

    place: int
    state: SamplerState
    allowed: Bitmask | None = None


class Rows(Protocol):
    """Has work space for one vocabulary; for one thread at a time."""

    def __call__(self, logits: Floats, rows: Sequence[Row]) -> list[Drawn]:
        """For each of some rows of `logits` [all rows, vocab_size], which are left as they are. Each has a state of its
        own, which is left, too, but for its generator; the state's constraint is not asked."""
        ...
