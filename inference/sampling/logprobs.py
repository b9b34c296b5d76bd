"""Log-probabilities of the model's own distribution: of the drawn token, and of the likeliest ones beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.sampling.arrays import Floats
from inference.sampling.search import Peaks, largest

LEAST = -9999.0  # stands for the logarithm of zero, which JSON cannot write


@dataclass(slots=True)
class Logprob:
    """A drawn token with the natural logarithm of its probability, before penalties, temperature or any mask.

    top_tokens, top_logprobs: the likeliest tokens in its place with theirs, likeliest first; of equal ones the lower id
    first. Lists of numbers, since pairs would be 20 objects more a token, on the thread that decodes.
    start: where the token's text begins in that of the answer, in characters; the transcript fills it in.
    """

    token: int
    logprob: float
    top_tokens: Sequence[int] = ()
    top_logprobs: Sequence[float] = ()
    start: int = 0


def logprob_of(
    row: Floats, top: np.float32, token: int, alternatives: int, peaks: Peaks | None, scratch: Floats
) -> Logprob:
    """row: the model's logits, shape [vocab_size]. top: the largest of them. scratch: as many floats to work in."""
    total = _log_sum_exp(row, float(top), scratch)
    best = largest(row, alternatives, peaks) if alternatives else np.empty(0, np.intp)
    if len(best) < alternatives:
        best = np.arange(row.size)  # the model forbids so many that some of those are reported
    order = (-row[best]).argsort(kind="stable")[:alternatives]
    best = best[order]
    logprobs = np.maximum(row[best] - np.float64(total), LEAST)
    return Logprob(token, max(float(row[token]) - total, LEAST), best.tolist(), logprobs.tolist())


def _log_sum_exp(row: Floats, top: float, scratch: Floats) -> float:
    # Far from the bounds of single precision nothing has to be taken away.
    shift = 0.0 if abs(top) < 64 else top
    weights = np.exp(np.subtract(row, shift, out=scratch) if shift else row, out=scratch)
    return shift + math.log(np.einsum("i->", weights))  # a sum in half of the time that `sum` takes
