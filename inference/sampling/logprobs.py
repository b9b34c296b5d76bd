"""Log-probabilities of the model's own distribution: of the drawn token, and of the likeliest ones beside it."""

import math
from dataclasses import dataclass

import numpy as np

from inference.sampling.arrays import Floats
from inference.sampling.draw import largest

LEAST = -9999.0  # stands for the logarithm of zero, which JSON cannot write


@dataclass(frozen=True, slots=True)
class Logprob:
    """A drawn token with the natural logarithm of its probability, before penalties, temperature or any mask.

    top: the likeliest tokens in its place with theirs, likeliest first; of equal ones the lower id first.
    start: where the token's text begins in that of the answer, in characters; the transcript fills it in.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    start: int = 0


def logprob_of(row: Floats, top: np.float32, token: int, alternatives: int, scratch: Floats) -> Logprob:
    """row: the model's logits, shape [vocab_size]. top: the largest of them. scratch: as many floats to work in."""
    weights = np.subtract(row, top, out=scratch)
    total = float(top) + math.log(np.exp(weights, out=weights).sum())
    best = largest(row, alternatives) if alternatives else np.empty(0, np.intp)
    best = best[np.argsort(-row[best], kind="stable")]
    pairs = zip(best.tolist(), row[best].tolist(), strict=True)
    return Logprob(
        token,
        max(float(row[token]) - total, LEAST),
        tuple((other, max(logit - total, LEAST)) for other, logit in pairs),
    )
