"""What a request asks of its sampling. It draws nothing."""

from dataclasses import dataclass

GREEDY_BELOW = 1e-7


@dataclass(frozen=True, slots=True)
class DryParams:
    """DRY, "don't repeat yourself" (p-e-w, text-generation-webui pull request 5677): a token that would prolong a
    repetition of `n >= allowed_length` tokens loses `multiplier * base ** (n - allowed_length)`.

    multiplier: above 0. base: above 0. allowed_length: at least 0.
    sequence_breakers: texts, none empty, that no repetition reaches across.
    """

    multiplier: float
    base: float
    allowed_length: int
    sequence_breakers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is drawn. The order is a constraint's mask, logit bias, repetition, presence and frequency
    penalties, DRY, temperature, top-k, top-p, min-p, draw.

    temperature: 0 or more; below 1e-7 the most probable token is taken (greedy).
    top_k: 0 keeps the whole vocabulary. top_p: in (0, 1]; 1 keeps it. min_p: in [0, 1]; the least probability, in
    parts of the most probable token's; 0 keeps all.
    presence_penalty, frequency_penalty: subtracted from the logit of a generated token, once and per occurrence.
    repetition_penalty: above 0; divides positive and multiplies negative logits of tokens of prompt and output.
    logit_bias: (token id, what is added to its logit), one for an id at most.
    seed: any integer, or None for fresh entropy. The same seed and logits give the same token.
    logprobs: None, or how many alternatives are reported beside each token's log-probability, 0 to 20.
    max_tokens: at least 1. stop: texts that end the answer and are not part of it.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    dry: DryParams | None = None
    logprobs: int | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()

    @property
    def greedy(self) -> bool:
        return self.temperature < GREEDY_BELOW

    @property
    def cuts(self) -> bool:
        """Whether unlikely tokens are left out."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0
