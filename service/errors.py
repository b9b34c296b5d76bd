"""What a call can be refused or fail with, and how that goes into a google.rpc.Status. It knows nothing of HTTP.

    ServiceError          a reason of the contract, a sentence, and the request field at fault
    ├── InvalidRequest    faults in the values of a request; carries every one of them
    └── TryLater          the same request may succeed after `retry_after` seconds

The functions below make the errors whose sentence is fixed; `service_error_of` turns the exceptions of the engine, of
the store and of anybody else into one of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from inference.chat import TemplateError
from inference.types import ContextLengthExceeded, EngineStopped, QueueFull
from service.store.errors import RecordDamaged, StoreCorrupt, StoreUnavailable

DOMAIN = "answerd"
DETAILS_KEY = "grpc-status-details-bin"
QUEUE_RETRY_SECONDS = 1.0
UNAVAILABLE_RETRY_SECONDS = 5.0
# Clients take 8 KiB of metadata by default. The details travel in base64, beside the message in percent encoding.
MAX_DETAILS_BYTES = 3500
MAX_QUOTED = 80
MAX_SENTENCE = 200


@unique
class Reason(Enum):
    """The reasons of the contract's ErrorReason, as ErrorInfo.reason spells them."""

    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    MISSING_REQUIRED_PARAMETER = "MISSING_REQUIRED_PARAMETER"
    INVALID_TYPE = "INVALID_TYPE"
    INVALID_VALUE = "INVALID_VALUE"
    UNKNOWN_PARAMETER = "UNKNOWN_PARAMETER"
    UNSUPPORTED_PARAMETER = "UNSUPPORTED_PARAMETER"
    UNSUPPORTED_CONTENT = "UNSUPPORTED_CONTENT"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    PREVIOUS_RESPONSE_NOT_FOUND = "PREVIOUS_RESPONSE_NOT_FOUND"
    PREVIOUS_RESPONSE_NOT_USABLE = "PREVIOUS_RESPONSE_NOT_USABLE"
    ITEM_NOT_FOUND = "ITEM_NOT_FOUND"
    TOOL_CALL_NOT_FOUND = "TOOL_CALL_NOT_FOUND"
    CONTEXT_LENGTH_EXCEEDED = "CONTEXT_LENGTH_EXCEEDED"
    INVALID_API_KEY = "INVALID_API_KEY"
    RESPONSE_NOT_FOUND = "RESPONSE_NOT_FOUND"
    NOT_CANCELLABLE = "NOT_CANCELLABLE"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    MODEL_ERROR = "MODEL_ERROR"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"


CODES: Mapping[Reason, grpc.StatusCode] = {
    Reason.REQUEST_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.MISSING_REQUIRED_PARAMETER: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_TYPE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_VALUE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNKNOWN_PARAMETER: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNSUPPORTED_PARAMETER: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNSUPPORTED_CONTENT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.PREVIOUS_RESPONSE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.PREVIOUS_RESPONSE_NOT_USABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ITEM_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.TOOL_CALL_NOT_FOUND: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.CONTEXT_LENGTH_EXCEEDED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_API_KEY: grpc.StatusCode.UNAUTHENTICATED,
    Reason.RESPONSE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.NOT_CANCELLABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.IDEMPOTENCY_KEY_REUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.RATE_LIMIT_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.STORE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.MODEL_ERROR: grpc.StatusCode.INTERNAL,
    Reason.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of a request. path: the field as the JSON spells it, e.g. `input[0].content[1]`."""

    path: str
    reason: Reason
    message: str


class ServiceError(Exception):
    """A call is refused or fails.

    message: what happened and what to do, for people; safe to show to the caller. param: the request field at fault,
    as the JSON spells it. details: the variable parts of the message, for programs.
    """

    def __init__(
        self, reason: Reason, message: str, *, param: str | None = None, details: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.param = param
        self.details = dict(details or {})


class InvalidRequest(ServiceError):
    """Faults in the values of a request, at least one, in document order; the first one is the error's own."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        super().__init__(first.reason, first.message, param=first.path)
        self.violations = tuple(violations)


class TryLater(ServiceError):
    """The same request may succeed later. retry_after: seconds."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


def quoted(text: str) -> str:
    """A caller's text for a message, in quotes, cut where it is long."""
    return f"'{text}'" if len(text) <= MAX_QUOTED else f"'{text[:MAX_QUOTED]}…'"


def response_not_found(response_id: str) -> ServiceError:
    message = f"Response with ID {quoted(response_id)} not found."
    return ServiceError(Reason.RESPONSE_NOT_FOUND, message)


def previous_response_not_found(response_id: str) -> ServiceError:
    message = f"Previous response with ID {quoted(response_id)} not found."
    return ServiceError(Reason.PREVIOUS_RESPONSE_NOT_FOUND, message, param="previous_response_id")


def tool_call_not_found(call_id: str) -> ServiceError:
    message = f"No tool call found for function call output with call_id {quoted(call_id)}."
    return ServiceError(Reason.TOOL_CALL_NOT_FOUND, message, param="input")


def previous_response_not_usable(response_id: str, status: str) -> ServiceError:
    """status: the parent's status as the JSON spells it."""
    message = f"Previous response with ID {quoted(response_id)} cannot be continued: its status is '{status}'."
    details = {"status": status}
    return ServiceError(Reason.PREVIOUS_RESPONSE_NOT_USABLE, message, param="previous_response_id", details=details)


def item_not_found(item_id: str) -> ServiceError:
    return ServiceError(Reason.ITEM_NOT_FOUND, f"Item with ID {quoted(item_id)} not found.", param="input")


def idempotency_key_reused() -> ServiceError:
    message = "This idempotency key was used with another request. Send a new key, or the same request."
    return ServiceError(Reason.IDEMPOTENCY_KEY_REUSED, message)


def not_cancellable() -> ServiceError:
    return ServiceError(Reason.NOT_CANCELLABLE, "Cannot cancel a synchronous response.")


def model_not_found(model: str) -> ServiceError:
    message = f"The model {quoted(model)} does not exist; 'default' is always served."
    return ServiceError(Reason.MODEL_NOT_FOUND, message, param="model")


def model_not_loaded(model: str) -> ServiceError:
    message = f"The model {quoted(model)} could not be loaded; the server's log says why."
    return ServiceError(Reason.MODEL_ERROR, message)


def models_busy(model: str) -> TryLater:
    message = f"There is no memory for the model {quoted(model)} while others answer. Try again in a moment."
    return TryLater(Reason.UNAVAILABLE, message, retry_after=UNAVAILABLE_RETRY_SECONDS)


def context_length_exceeded(prompt_tokens: int, limit: int, at_least: bool) -> ServiceError:
    """at_least: the prompt was not encoded, and has so many tokens or more."""
    tokens = f"{'at least ' * at_least}{prompt_tokens} tokens"
    message = f"The prompt has {tokens}, but at most {limit} fit into the model's context."
    details = {"prompt_tokens": str(prompt_tokens), "limit": str(limit)}
    return ServiceError(Reason.CONTEXT_LENGTH_EXCEEDED, message, param="input", details=details)


def invalid_api_key(given: bool) -> ServiceError:
    """given: whether the call carried a key at all."""
    message = (
        "Incorrect API key provided."
        if given
        else "You did not provide an API key. Send it as 'authorization: Bearer KEY'."
    )
    return ServiceError(Reason.INVALID_API_KEY, message)


def rate_limit_exceeded() -> TryLater:
    message = "The server's queue is full. Try again in a moment."
    return TryLater(Reason.RATE_LIMIT_EXCEEDED, message, retry_after=QUEUE_RETRY_SECONDS)


def unavailable() -> TryLater:
    message = "The server is starting or stopping. Try again in a moment."
    return TryLater(Reason.UNAVAILABLE, message, retry_after=UNAVAILABLE_RETRY_SECONDS)


def store_unavailable() -> ServiceError:
    return ServiceError(Reason.STORE_UNAVAILABLE, "The store of responses cannot be read or written at the moment.")


def response_damaged(response_id: str) -> ServiceError:
    message = f"Response with ID {quoted(response_id)} is damaged in the store and cannot be read; it can be deleted."
    return ServiceError(Reason.STORE_UNAVAILABLE, message)


def internal_error(request_id: str) -> ServiceError:
    details = {"request_id": request_id}
    return ServiceError(Reason.INTERNAL, f"Internal error (request {request_id})", details=details)


def invalid_value(path: str, message: str) -> InvalidRequest:
    """A single fault that only shows after the validation."""
    return InvalidRequest([Violation(path, Reason.INVALID_VALUE, message)])


def service_error_of(error: BaseException, request_id: str) -> ServiceError:
    """What the caller hears of an exception. INTERNAL stands for everything unknown, and says nothing about it."""
    match error:
        case ServiceError():
            return error
        case QueueFull():
            return rate_limit_exceeded()
        case EngineStopped():
            return unavailable()
        case ContextLengthExceeded():
            return context_length_exceeded(error.prompt_tokens, error.limit, error.at_least)
        case TemplateError():
            # Templates are compiled at the start, so here the template refused the messages, in its own words.
            return invalid_value("input", str(error)[:MAX_SENTENCE])
        case RecordDamaged():
            return response_damaged(error.id)
        case StoreUnavailable() | StoreCorrupt():
            return store_unavailable()
        case _:
            return internal_error(request_id)


def to_status(error: ServiceError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Code, message and trailing metadata, as `context.abort` takes them."""
    code = CODES[error.reason]
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=error.details)
    status.details.add().Pack(info)
    if isinstance(error, TryLater):
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after)))
    if violations := _violations(error):
        status.details.add().Pack(_bad_request(violations, MAX_DETAILS_BYTES - status.ByteSize()))
    return code, error.message, ((DETAILS_KEY, status.SerializeToString()),)


def _violations(error: ServiceError) -> Sequence[Violation]:
    if isinstance(error, InvalidRequest):
        return error.violations
    # So that clients find the field of every error in the same place.
    return [Violation(error.param, error.reason, error.message)] if error.param is not None else []


def _bad_request(violations: Sequence[Violation], max_bytes: int) -> error_details_pb2.BadRequest:
    """The violations in order; of very many, the first that a client can receive."""
    bad_request = error_details_pb2.BadRequest()
    for violation in violations:
        bad_request.field_violations.add(
            field=violation.path, description=violation.message, reason=violation.reason.value
        )
        if len(bad_request.field_violations) > 1 and bad_request.ByteSize() > max_bytes:
            del bad_request.field_violations[-1]
            break
    return bad_request


def _duration(seconds: float) -> Duration:
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
