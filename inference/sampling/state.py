"""What sampling keeps of one sequence between two tokens. It draws nothing."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from inference.constraint import Constraint
from inference.sampling.arrays import Floats
from inference.sampling.dry import Dry
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.penalties import LogitBias, Penalties


class SamplerState:
    """One sequence's generator, and what its prompt and output so far do to its next logits.

    Each draw follows the tokens accepted before it, so the rows of one sequence are drawn one after the other.
    """

    __slots__ = ("_bias", "_constraint", "_dry", "_penalties", "best", "generator", "params", "plain")

    def __init__(
        self,
        params: SamplingParams,
        prompt: Sequence[int] = (),
        token_bytes: Sequence[bytes] = (),
        constraint: Constraint | None = None,
        twin: Self | None = None,
    ) -> None:
        """token_bytes: what each token id adds to the text; for DRY alone. twin: a state with the same prompt, of which
        nothing was drawn yet; what it learned from the prompt is not learned again."""
        self.params = params
        self.generator = np.random.Generator(np.random.PCG64(None if params.seed is None else params.seed % 2**64))
        self._bias = LogitBias(params.logit_bias)
        self._penalties = Penalties(params, prompt)
        self._dry = None if params.dry is None else _dry(params.dry, prompt, token_bytes, twin)
        self._constraint = constraint
        processed = bool(self._bias or self._penalties) or self._dry is not None or constraint is not None
        self.plain = not processed  # the model's own logits are drawn from, whatever came before
        self.best = self._best()

    def _best(self) -> int | None:
        """How many of the largest logits decide the draw, or None if all take part."""
        if not self.plain or self.params.logprobs is not None:
            return None
        return 1 if self.params.greedy else self.params.top_k or None

    @property
    def finished(self) -> bool:
        """Whether the constraint lets nothing follow."""
        return self._constraint is not None and self._constraint.finished

    def process(self, row: Floats) -> None:
        """Change logits of shape [vocab_size], in place, to those that are drawn from."""
        if self._bias:
            self._bias.apply(row)
        if self._penalties:
            self._penalties.apply(row)
        if self._dry is not None:
            self._dry.apply(row)
        if self._constraint is not None:
            self._constraint.mask(row)

    def accept(self, token: int) -> None:
        """The sequence goes on with this token."""
        if self._penalties:
            self._penalties.accept(token)
        if self._dry is not None:
            self._dry.accept(token)
        if self._constraint is not None:
            self._constraint.accept(token)


def _dry(params: DryParams, prompt: Sequence[int], token_bytes: Sequence[bytes], twin: SamplerState | None) -> Dry:
    if twin is not None and twin._dry is not None and twin.params.dry == params:
        return twin._dry.copy()
    return Dry(params, prompt, token_bytes)
