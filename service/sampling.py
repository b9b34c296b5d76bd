"""A validated request's sampling parameters, as the engine takes them. Knows no defaults but the contract's."""

from __future__ import annotations

from answerd.v1.create_response_pb2 import CreateResponseRequest
from inference.sampling.parameters import SamplingParams

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 1.0


def sampling_params(request: CreateResponseRequest, *, default_max_tokens: int, context: int) -> SamplingParams:
    """default_max_tokens: the budget of a request that names none. context: tokens of prompt and output together, to
    which every budget is clamped; what the prompt leaves of it is the engine's to know.
    """
    budget = request.max_output_tokens if request.HasField("max_output_tokens") else default_max_tokens
    top_p = request.top_p if request.HasField("top_p") else DEFAULT_TOP_P
    return SamplingParams(
        temperature=request.temperature if request.HasField("temperature") else DEFAULT_TEMPERATURE,
        # A nucleus of no probability holds the most probable token alone, which the engine spells top_k 1.
        top_p=top_p if top_p > 0 else 1.0,
        top_k=request.top_k if top_p > 0 else 1,
        seed=request.seed if request.HasField("seed") else None,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        max_tokens=min(budget, context),
        stop=tuple(request.stop),
    )
