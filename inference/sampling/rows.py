"""What draws from rows of logits. The sampler knows it by this alone."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from inference.sampling.arrays import Floats
from inference.sampling.logprobs import Logprob
from inference.sampling.state import SamplerState

Drawn: TypeAlias = tuple[int, Logprob | None] | None
"""A token and, where it was asked for, its log-probability; None where no token can be drawn, because all are forbidden
or the largest logit is not finite."""


class Rows(Protocol):
    """Has work space for one vocabulary; for one thread at a time."""

    def __call__(self, logits: Floats, states: Sequence[SamplerState]) -> list[Drawn]:
        """For each row of `logits` [rows, vocab_size], which are left as they are, with a state of its own, which is
        left, too, but for its generator."""
        ...
