"""A validated request's sampling parameters, as the engine takes them. Knows no defaults but the contract's."""

from __future__ import annotations

from dataclasses import replace

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.include_pb2 import Include
from inference.sampling.parameters import DryParams, SamplingParams

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 1.0
DEFAULT_REPETITION_PENALTY = 1.0
DEFAULT_DRY_BASE = 1.75
DEFAULT_DRY_ALLOWED_LENGTH = 2
DEFAULT_DRY_BREAKERS = ("\n", ":", '"', "*")


def sampling_params(request: CreateResponseRequest, *, default_max_tokens: int, context: int) -> SamplingParams:
    """default_max_tokens: the budget of a request that names none. context: tokens of prompt and output together, to
    which every budget is clamped; what the prompt leaves of it is the engine's to know.
    """
    budget = request.max_output_tokens if request.HasField("max_output_tokens") else default_max_tokens
    top_p = request.top_p if request.HasField("top_p") else DEFAULT_TOP_P
    repetition = request.repetition_penalty if request.HasField("repetition_penalty") else DEFAULT_REPETITION_PENALTY
    return SamplingParams(
        temperature=request.temperature if request.HasField("temperature") else DEFAULT_TEMPERATURE,
        # A nucleus of no probability holds the most probable token alone, which the engine spells top_k 1.
        top_p=top_p if top_p > 0 else 1.0,
        top_k=request.top_k if top_p > 0 else 1,
        min_p=request.min_p,
        seed=request.seed if request.HasField("seed") else None,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        repetition_penalty=repetition,
        logit_bias=tuple(sorted((token, bias) for token, bias in request.logit_bias.items() if bias != 0)),
        dry=_dry(request) if request.dry_multiplier > 0 else None,
        logprobs=request.top_logprobs if _wants_logprobs(request) else None,
        max_tokens=min(budget, context),
        stop=tuple(request.stop),
    )


def choices_of(request: CreateResponseRequest) -> int:
    """How many answers to generate."""
    return request.n_choices if request.HasField("n_choices") else 1


def of_each_choice(params: SamplingParams, choices: int) -> list[SamplingParams]:
    """The same parameters, with one seed after the other: the first choice is what a request for one would get."""
    if params.seed is None:
        return [params] * choices
    return [replace(params, seed=params.seed + index) for index in range(choices)]


def _dry(request: CreateResponseRequest) -> DryParams:
    named, breakers = request.HasField("dry_sequence_breakers"), tuple(request.dry_sequence_breakers.values)
    return DryParams(
        multiplier=request.dry_multiplier,
        base=request.dry_base if request.HasField("dry_base") else DEFAULT_DRY_BASE,
        allowed_length=(
            request.dry_allowed_length if request.HasField("dry_allowed_length") else DEFAULT_DRY_ALLOWED_LENGTH
        ),
        sequence_breakers=breakers if named else DEFAULT_DRY_BREAKERS,
    )


def _wants_logprobs(request: CreateResponseRequest) -> bool:
    included = Include.INCLUDE_MESSAGE_OUTPUT_TEXT_LOGPROBS in request.include
    return request.logprobs or request.top_logprobs > 0 or included
