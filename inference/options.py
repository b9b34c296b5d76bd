"""How an engine works, apart from its model. Knows no settings: who starts an engine fills it in."""

from dataclasses import dataclass
from pathlib import Path

from inference.costs import ONNX_RUNTIME, Costs


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """chunk, chunk_alone: the most prompt tokens in one step, while others decode and while none does; at least 2.
    Measured times make most chunks smaller.
    speculation: a lone sequence's next tokens are drafted from its own text, and several verified in one call.
    deterministic: equal requests with equal seeds get equal tokens in any company: no call has a lone row, and nothing
    is drafted.
    interval: seconds between two hand-overs of outputs, apart from first tokens and ends; 0: one each step.
    costs: how the model's calls compare. uniform: whether all of them give a row the same bits, so that a slot may keep
    answers, too.
    kernels: the library that samples (inference/kernels); None: numpy does, more slowly.
    """

    chunk: int = 256
    chunk_alone: int = 512
    speculation: bool = True
    deterministic: bool = False
    interval: float = 0.0
    costs: Costs = ONNX_RUNTIME
    uniform: bool = False
    kernels: Path | None = None


DEFAULTS = EngineOptions()
