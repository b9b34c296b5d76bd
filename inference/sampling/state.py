"""What sampling keeps of one sequence between two tokens. It draws nothing."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from inference.bitmask import Bitmask, forbid_others
from inference.constraint import Constraint
from inference.sampling.arrays import Floats
from inference.sampling.dry import Dry
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.penalties import LogitBias, Penalties


class SamplerState:
    """One sequence's generator, and what its prompt and output so far do to its next logits.

    Each draw follows the tokens accepted before it, so the rows of one sequence are drawn one after the other.
    """

    __slots__ = (
        "__weakref__",
        "best",
        "bias",
        "constraint",
        "draws_first",
        "dry",
        "generator",
        "params",
        "penalties",
        "plain",
    )

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
        self.bias = LogitBias(params.logit_bias)
        self.penalties = Penalties(params, prompt)
        self.dry = None if params.dry is None else _dry(params.dry, prompt, token_bytes, twin)
        self.constraint = constraint
        processed = bool(self.bias or self.penalties) or self.dry is not None or constraint is not None
        self.plain = not processed  # the model's own logits are drawn from, whatever came before
        self.best = self._best()
        # Whether a token may be drawn from all of them before the constraint is asked: the likeliest of all, if it is
        # allowed, is the likeliest of those allowed; and what is drawn again where it is not has their distribution
        # (where a constraint allows one by one what it allows together).
        # But a cut leaves other tokens of all than of those allowed.
        self.draws_first = constraint is not None and (params.greedy or not params.cuts)

    def _best(self) -> int | None:
        """How many of the largest logits decide the draw, or None if all take part."""
        if not self.plain or self.params.logprobs is not None:
            return None
        return 1 if self.params.greedy else self.params.top_k or None

    @property
    def finished(self) -> bool:
        """Whether the constraint lets nothing follow."""
        return self.constraint is not None and self.constraint.finished

    @property
    def forced(self) -> Sequence[int]:
        """Tokens that the constraint leaves no choice about."""
        return () if self.constraint is None else self.constraint.forced()

    def process(self, row: Floats, allowed: Bitmask | None) -> None:
        """Change logits of shape [vocab_size], in place, to those that are drawn from. allowed: all others are
        forbidden; None: none is. What is forbidden, by the model or here, stays so."""
        if allowed is not None:
            forbid_others(row, allowed)
        if self.bias:
            self.bias.apply(row)
        if self.penalties:
            self.penalties.apply(row)
        if self.dry is not None:
            self.dry.apply(row)

    def accept(self, token: int) -> None:
        """The sequence goes on with this token."""
        if self.penalties:
            self.penalties.accept(token)
        if self.dry is not None:
            self.dry.accept(token)
        if self.constraint is not None:
            self.constraint.accept(token)


def _dry(params: DryParams, prompt: Sequence[int], token_bytes: Sequence[bytes], twin: SamplerState | None) -> Dry:
    if twin is not None and twin.dry is not None and twin.params.dry == params:
        return twin.dry.copy()
    return Dry(params, prompt, token_bytes)
