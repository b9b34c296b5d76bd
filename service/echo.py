"""The response as it is at admission: what the request asked for, with the values in effect. Generates nothing."""

from __future__ import annotations

from collections.abc import Mapping

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.reasoning_pb2 import ReasoningEffort
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.service_tier_pb2 import ServiceTier
from answerd.v1.tool_choice_pb2 import ToolChoiceMode
from answerd.v1.truncation_pb2 import Truncation
from service.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P

_QUEUED, _IN_PROGRESS = ResponseStatus.RESPONSE_STATUS_QUEUED, ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
# Efforts that Open Responses does not know are shown as the nearest one that it does.
SHOWN_EFFORT: Mapping[int, ReasoningEffort.ValueType] = {
    ReasoningEffort.REASONING_EFFORT_MINIMAL: ReasoningEffort.REASONING_EFFORT_LOW,
    ReasoningEffort.REASONING_EFFORT_MAX: ReasoningEffort.REASONING_EFFORT_XHIGH,
}


def initial_response(request: CreateResponseRequest, *, id: str, model: str, created_at: int) -> Response:
    """The response to a validated request: in progress, or queued in the background, without output or usage.

    model: name of the served model. created_at: seconds since 1970-01-01 UTC.
    """
    response = Response(
        id=id,
        created_at=created_at,
        status=_QUEUED if request.background else _IN_PROGRESS,
        model=model,
        tools=request.tools,
        parallel_tool_calls=request.parallel_tool_calls if request.HasField("parallel_tool_calls") else True,
        truncation=request.truncation or Truncation.TRUNCATION_DISABLED,
        temperature=request.temperature if request.HasField("temperature") else DEFAULT_TEMPERATURE,
        top_p=request.top_p if request.HasField("top_p") else DEFAULT_TOP_P,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        top_logprobs=request.top_logprobs,
        store=is_stored(request),
        background=request.background,
        service_tier=ServiceTier.SERVICE_TIER_DEFAULT,
        metadata=request.metadata,
    )
    _echo_optional(request, response)
    _echo_shape(request, response)
    return response


def is_stored(request: CreateResponseRequest) -> bool:
    """Whether the response is to be kept."""
    return request.store if request.HasField("store") else True


def _echo_optional(request: CreateResponseRequest, response: Response) -> None:
    """What stays unset where the request says nothing."""
    if request.HasField("previous_response_id"):
        response.previous_response_id = request.previous_response_id
    if request.HasField("unstored_parent_id"):
        # What came before is in the input; the response goes on from there all the same.
        response.previous_response_id = request.unstored_parent_id
    if request.HasField("instructions"):
        response.instructions = request.instructions
    if request.HasField("max_output_tokens"):
        response.max_output_tokens = request.max_output_tokens
    if request.HasField("max_tool_calls"):
        response.max_tool_calls = request.max_tool_calls
    if request.HasField("safety_identifier"):
        response.safety_identifier = request.safety_identifier
    if request.HasField("prompt_cache_key"):
        response.prompt_cache_key = request.prompt_cache_key


def _echo_shape(request: CreateResponseRequest, response: Response) -> None:
    response.text.CopyFrom(request.text)
    if not response.text.HasField("format"):
        response.text.format.text.SetInParent()
    response.tool_choice.CopyFrom(request.tool_choice)
    choice = response.tool_choice
    if choice.WhichOneof("choice") == "allowed_tools":
        choice.allowed_tools.mode = choice.allowed_tools.mode or ToolChoiceMode.TOOL_CHOICE_MODE_AUTO
    elif choice.WhichOneof("choice") != "function":
        choice.mode = choice.mode or ToolChoiceMode.TOOL_CHOICE_MODE_AUTO
    if request.HasField("reasoning"):
        response.reasoning.CopyFrom(request.reasoning)
        response.reasoning.effort = SHOWN_EFFORT.get(request.reasoning.effort, request.reasoning.effort)
