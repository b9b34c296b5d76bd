"""`validate`: the rules about the fields of a CreateResponseRequest, and the few about other requests."""

from __future__ import annotations

from collections.abc import Sequence

from answerd.v1.compaction_pb2 import CompactResponseRequest
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.include_pb2 import Include
from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListOrder
from answerd.v1.reasoning_pb2 import ReasoningEffort, ReasoningSummary
from answerd.v1.service_tier_pb2 import ServiceTier
from answerd.v1.stored_response_pb2 import StreamResponseRequest
from answerd.v1.truncation_pb2 import Truncation
from service.errors import Reason
from service.validate.counts import check_counts
from service.validate.faults import Faults, key_path
from service.validate.items import check_input
from service.validate.shape import check_shape
from service.validate.unsupported import HONOURED_INCLUDES, check_unsupported, refusal

DEFAULT_MODEL = "default"
MAX_NOTE_KEY, MAX_NOTE = 64, 512
MAX_IDENTIFIER = 64
MAX_CHOICES = 128
MAX_PAGE = 100
MAX_BREAKER = 64


def validate(request: CreateResponseRequest, *, input_optional: bool = False) -> None:
    """Raises InvalidRequest with every fault of the request, of very many the first: values that break a rule, and
    what is not honoured yet."""
    faults = Faults()
    check_counts(request, faults)
    check_input(request.input, faults, optional=input_optional)
    _check_run(request, faults)
    _check_sampling(request, faults)
    _check_penalties(request, faults)
    _check_hints(request, faults)
    check_shape(request, faults)
    check_unsupported(request, faults)
    faults.check()


def check_include(include: Sequence[Include.ValueType]) -> None:
    """The same for the `include` of other requests. Raises InvalidRequest."""
    faults = Faults()
    _check_honoured(include, faults)
    faults.check()


def check_page(request: ListInputItemsRequest) -> None:
    """The same for a request for a page."""
    faults = Faults()
    if request.HasField("limit"):
        faults.number("limit", request.limit, 1, MAX_PAGE)
    faults.choice("order", request.order, ListOrder.values())
    _check_honoured(request.include, faults)
    faults.check()


def check_stream(request: StreamResponseRequest) -> None:
    """Raises InvalidRequest for a number that no event has, and as `check_include`."""
    faults = Faults()
    if request.HasField("starting_after"):
        faults.number("starting_after", request.starting_after, 0)
    faults.check()
    check_include(request.include)


def check_compaction(request: CompactResponseRequest) -> None:
    """The same for what a request to compact has beyond one for a response."""
    faults = Faults()
    if not request.model:
        faults.missing("model")
    faults.check()


def check_biases(request: CreateResponseRequest, vocab_size: int) -> None:
    """Raises InvalidRequest for biases of token ids that the model does not have."""
    faults = Faults()
    for token in sorted(request.logit_bias):
        if token >= vocab_size:
            path = key_path("logit_bias", token)
            faults.invalid(path, f"'{path}' is no token: the model's ids go from 0 to {vocab_size - 1}.")
    faults.check()


def check_choices(request: CreateResponseRequest, most: int) -> None:
    """Raises InvalidRequest for more choices than may ever run and wait at once."""
    faults = Faults()
    if request.n_choices > most:
        faults.invalid("n_choices", f"'n_choices' must be at most {most}: no more can run and wait here at once.")
    faults.check()


def _check_run(request: CreateResponseRequest, faults: Faults) -> None:
    if request.background and request.HasField("store") and not request.store:
        faults.invalid("background", "'background' needs 'store', which is false.")
    if request.HasField("max_output_tokens"):
        faults.number("max_output_tokens", request.max_output_tokens, 1)
    if request.HasField("n_choices"):
        faults.number("n_choices", request.n_choices, 1, MAX_CHOICES)
    _check_includes(request.include, faults)
    faults.choice("truncation", request.truncation, Truncation.values())
    faults.choice("reasoning.effort", request.reasoning.effort, ReasoningEffort.values())
    _check_thinking(request, faults)
    faults.choice("reasoning.summary", request.reasoning.summary, ReasoningSummary.values())


def _check_thinking(request: CreateResponseRequest, faults: Faults) -> None:
    effort = request.reasoning.effort
    thinks = effort != ReasoningEffort.REASONING_EFFORT_NONE
    if request.HasField("enable_thinking") and effort and request.enable_thinking != thinks:
        faults.invalid("enable_thinking", "'enable_thinking' contradicts 'reasoning.effort'.")


def _check_includes(include: Sequence[Include.ValueType], faults: Faults) -> None:
    for index, value in enumerate(include):
        faults.choice(f"include[{index}]", value, Include.values()[1:])


def _check_honoured(include: Sequence[Include.ValueType], faults: Faults) -> None:
    _check_includes(include, faults)
    for index, value in enumerate(include):
        if value not in HONOURED_INCLUDES:
            faults.add(f"include[{index}]", Reason.UNSUPPORTED_PARAMETER, refusal(f"include[{index}]"))


def _check_sampling(request: CreateResponseRequest, faults: Faults) -> None:
    if request.HasField("temperature"):
        faults.number("temperature", request.temperature, 0, 2)
    if request.HasField("top_p"):
        faults.number("top_p", request.top_p, 0, 1)
    faults.number("top_k", request.top_k, 0)
    faults.number("min_p", request.min_p, 0, 1)
    faults.number("top_logprobs", request.top_logprobs, 0, 20)
    for index, text in enumerate(request.stop):
        if not text:
            faults.invalid(f"stop[{index}]", f"'stop[{index}]' must not be empty.")


def _check_penalties(request: CreateResponseRequest, faults: Faults) -> None:
    faults.number("presence_penalty", request.presence_penalty, -2, 2)
    faults.number("frequency_penalty", request.frequency_penalty, -2, 2)
    if request.HasField("repetition_penalty"):
        faults.positive("repetition_penalty", request.repetition_penalty)
    for token, bias in sorted(request.logit_bias.items()):
        path = key_path("logit_bias", token)
        if token < 0:
            faults.invalid(path, f"'{path}' is no token: ids are at least 0.")
        faults.number(path, bias, -100, 100)
    faults.number("dry_multiplier", request.dry_multiplier, 0)
    if request.HasField("dry_base"):
        faults.positive("dry_base", request.dry_base)
    if request.HasField("dry_allowed_length"):
        faults.number("dry_allowed_length", request.dry_allowed_length, 0)
    for index, breaker in enumerate(request.dry_sequence_breakers.values):
        path = f"dry_sequence_breakers[{index}]"
        if not breaker:
            faults.invalid(path, f"'{path}' must not be empty.")
        faults.length(path, breaker, MAX_BREAKER)


def _check_hints(request: CreateResponseRequest, faults: Faults) -> None:
    faults.choice("service_tier", request.service_tier, ServiceTier.values())
    faults.length("safety_identifier", request.safety_identifier, MAX_IDENTIFIER)
    faults.length("prompt_cache_key", request.prompt_cache_key, MAX_IDENTIFIER)
    faults.length("unstored_parent_id", request.unstored_parent_id, MAX_IDENTIFIER)
    for key, value in sorted(request.metadata.items()):
        path = key_path("metadata", key)
        if len(key) > MAX_NOTE_KEY:
            faults.invalid(path, f"A key of 'metadata' must have at most {MAX_NOTE_KEY} characters: '{path}…'.")
        faults.length(path, value, MAX_NOTE)
