"""The logit bias, and the penalties on tokens that have occurred before. It knows neither text nor order."""

from collections.abc import Iterable

import numpy as np

from inference.sampling.arrays import Doubles, Floats, Indices
from inference.sampling.parameters import SamplingParams

# A penalised logit stays finite, so that of forbidden tokens the least forbidden can still be drawn.
LARGEST = 1e30


def lower(row: Floats, tokens: Indices, losses: Doubles, logits: Doubles) -> None:
    """Write these tokens' logits, less the losses, into the row; a token that is forbidden stays so."""
    kept = row[tokens]
    row[tokens] = np.where(kept > -np.inf, np.minimum(np.maximum(logits - losses, -LARGEST), LARGEST), kept)


class LogitBias:
    """Adds a fixed bias to the logits of some tokens."""

    __slots__ = ("tokens", "values")

    def __init__(self, biases: Iterable[tuple[int, float]]) -> None:
        pairs = [(token, bias) for token, bias in biases if bias != 0]
        self.tokens: Indices = np.array([token for token, _ in pairs], np.intp)
        self.values: Doubles = np.array([bias for _, bias in pairs], np.float64)

    def __bool__(self) -> bool:
        return len(self.tokens) > 0

    def apply(self, row: Floats) -> None:
        row[self.tokens] += self.values.astype(np.float32)


class Penalties:
    """Repetition, presence and frequency penalty of one sequence, in this order, and the tokens they concern.

    Repetition (Keskar et al. 2019, CTRL) concerns the tokens of prompt and output, the others those of the output.
    tokens, losses: these tokens, and what presence and frequency take from each; there is room behind the first `len`.
    """

    __slots__ = ("_counts", "_frequency", "_places", "_presence", "losses", "repetition", "tokens")

    def __init__(self, params: SamplingParams, prompt: Iterable[int]) -> None:
        # A float that makes no product of two finite logits infinite in double precision.
        self.repetition = min(max(params.repetition_penalty, 1 / LARGEST), LARGEST)
        self._presence, self._frequency = params.presence_penalty, params.frequency_penalty
        seen = dict.fromkeys(prompt) if self.repetition != 1 else {}
        self._places = {token: place for place, token in enumerate(seen)}
        self._counts = [0] * len(seen)  # in the output
        self.tokens: Indices = np.array([*seen, *[0] * 32], np.intp)
        self.losses: Doubles = np.zeros(len(seen) + 32)

    def __len__(self) -> int:
        return len(self._places)

    def __bool__(self) -> bool:
        return bool(self._presence or self._frequency) or self.repetition != 1

    def accept(self, token: int) -> None:
        """A token was generated."""
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._counts):
            self._counts.append(0)
        if place == len(self.tokens):
            self.tokens = np.concatenate((self.tokens, np.zeros_like(self.tokens)))
            self.losses = np.concatenate((self.losses, np.zeros_like(self.losses)))
        self._counts[place] += 1
        self.tokens[place] = token
        self.losses[place] = self._presence + self._frequency * self._counts[place]

    def apply(self, row: Floats) -> None:
        """Change, in place, the logits of the tokens that have occurred."""
        tokens = self.tokens[: len(self)]
        logits = row[tokens].astype(np.float64)
        if self.repetition != 1:
            both = logits / self.repetition, logits * self.repetition
            logits = np.minimum(*both) if self.repetition > 1 else np.maximum(*both)
        lower(row, tokens, self.losses[: len(self)], logits)
