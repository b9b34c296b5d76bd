"""How a model's calls compare, by the kernels that compute them. Measured once (bench/LOG.md); knows no model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Costs:
    """Constants and not learned from times, so that the same request makes the same calls again.

    reading: to read a past once takes as long as to attend to it with so many tokens.
    balance: at so many positions before a token, attending to them costs about as much as all the rest.
    drafted: one more drafted token in a call, in calls that decode a lone row.
    """

    reading: float
    balance: float
    drafted: float


ONNX_RUNTIME = Costs(reading=20, balance=4000, drafted=0.3)
OWN_KERNELS = Costs(reading=4, balance=1200, drafted=0.2)


def costs_with(*, own_attention: bool) -> Costs:
    """Where attention is ONNX Runtime's, long pasts and drafts cost nearly what they do with all of its kernels."""
    return OWN_KERNELS if own_attention else ONNX_RUNTIME
