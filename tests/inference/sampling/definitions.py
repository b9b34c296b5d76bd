"""The definitions of the sampling parameters, written down plainly, and a test of draws against them.

Double precision, full sorts, loops: nothing of what makes the sampler fast.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.sampling.arrays import Floats
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.sampler import Sampler
from inference.sampling.state import SamplerState

Probabilities = NDArray[np.float64]


def logits_of(size: int, spread: float, seed: int = 0) -> Floats:
    return (np.random.default_rng(seed).standard_normal(size) * spread).astype(np.float32)


def tokens_of(sampler: Sampler, logits: Floats, states: Sequence[SamplerState]) -> list[int]:
    return [sampled.token for sampled in sampler.sample(logits, states)]


def processed(
    logits: Floats,
    params: SamplingParams,
    prompt: Sequence[int] = (),
    output: Sequence[int] = (),
    token_bytes: Sequence[bytes] = (),
) -> Probabilities:
    """The logits after bias, penalties and DRY."""
    result = logits.astype(np.float64)
    for token, bias in params.logit_bias:
        result[token] += bias
    for token in {*prompt, *output}:
        penalty = params.repetition_penalty
        result[token] = result[token] / penalty if result[token] > 0 else result[token] * penalty
    for token in set(output):
        result[token] -= params.presence_penalty + params.frequency_penalty * output.count(token)
    if params.dry is not None:
        for token, length in repetitions([*prompt, *output], params.dry, token_bytes).items():
            if length >= params.dry.allowed_length:
                result[token] -= params.dry.multiplier * params.dry.base ** (length - params.dry.allowed_length)
    return result


def repetitions(tokens: Sequence[int], params: DryParams, token_bytes: Sequence[bytes]) -> dict[int, int]:
    """For each token that would prolong a repetition the length of the longest one."""
    breaks = [ends_breaker(tokens[: place + 1], params, token_bytes) for place in range(len(tokens))]
    longest: dict[int, int] = {}
    for place in range(len(tokens) - 1):
        length = 0
        while (
            length <= place and tokens[place - length] == tokens[len(tokens) - 1 - length] and not breaks[-1 - length]
        ):
            length += 1
        if length and not breaks[place + 1]:
            follower = tokens[place + 1]
            longest[follower] = max(longest.get(follower, 0), length)
    return longest


def ends_breaker(tokens: Sequence[int], params: DryParams, token_bytes: Sequence[bytes]) -> bool:
    """Whether a breaker ends in the last token's text."""
    text, last = b"".join(token_bytes[token] for token in tokens), token_bytes[tokens[-1]]
    ends = range(len(text) - len(last) + 1, len(text) + 1)
    return any(text[:end].endswith(breaker.encode()) for breaker in params.sequence_breakers for end in ends)


def probabilities(logits: NDArray[np.float32] | Probabilities, params: SamplingParams) -> Probabilities:
    """Temperature, top-k, top-p and min-p of logits that are processed already."""
    scaled = logits.astype(np.float64) / params.temperature
    order = np.argsort(-scaled, kind="stable")
    weights = np.exp(scaled[order] - scaled[order[0]])
    if params.top_k:
        weights[params.top_k :] = 0
    weights /= weights.sum()
    weights[1:][weights.cumsum()[:-1] >= params.top_p] = 0
    weights[weights < params.min_p * weights[0]] = 0
    result = np.zeros(len(logits))
    result[order] = weights / weights.sum()
    return result


def follow(tokens: Sequence[int], expected: Probabilities) -> bool:
    """A chi-square test at about one in a million, for fixed seeds; rare tokens are counted together."""
    counts = np.bincount(tokens, minlength=len(expected))
    if counts[expected == 0].any():
        return False
    often = expected * len(tokens) >= 8
    observed = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum()) * len(tokens)
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    freedom = len(wanted) - 1
    assert freedom >= 1, "one outcome follows any distribution"
    statistic = float(((observed - wanted) ** 2 / wanted).sum())
    spread = 2 / (9 * freedom)  # Wilson and Hilferty's approximation
    return statistic < freedom * (1 - spread + 4.75 * math.sqrt(spread)) ** 3
