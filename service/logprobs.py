"""Log-probabilities as the contract has them: tokens by their text and bytes. Computes none."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from answerd.v1.logprob_pb2 import LogProb
from inference.sampling.logprobs import Logprob

TokenBytes = Callable[[int], bytes]


def wire_logprobs(logprobs: Iterable[Logprob], bytes_of: TokenBytes) -> list[LogProb]:
    """bytes_of: what a token id reads as, special tokens included."""
    return [_wire(logprob, bytes_of) for logprob in logprobs]


def _wire(logprob: Logprob, bytes_of: TokenBytes) -> LogProb:
    token = bytes_of(logprob.token)
    wire = LogProb(token=_text(token), logprob=logprob.logprob, bytes=token)
    for other, value in zip(logprob.top_tokens, logprob.top_logprobs, strict=True):
        token = bytes_of(other)
        wire.top_logprobs.add(token=_text(token), logprob=value, bytes=token)
    return wire


def _text(token: bytes) -> str:
    return token.decode("utf-8", "replace")
