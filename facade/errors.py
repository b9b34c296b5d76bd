"""What can go wrong, as HTTP shows it: one table from reason to status, type, code and headers, and the envelope.

    ApiError        a failure with a reason of the table, which becomes a reply

It does not know where a failure was noticed; gRPC's side of it stands in rpc_errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"
RATE_LIMIT = "rate_limit_error"

NOT_JSON = "We could not parse the JSON body of your request."
NO_RETRY = {"x-should-retry": "false"}


@dataclass(frozen=True)
class Rule:
    """How failures of one reason look over HTTP; `retry_after` is the default of that header in seconds."""

    status: int
    type: str
    code: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None


# Keyed by ErrorInfo.reason of the service.
SERVICE_RULES: Mapping[str, Rule] = {
    "REQUEST_TOO_LARGE": Rule(413, INVALID_REQUEST, "request_too_large"),
    "MISSING_REQUIRED_PARAMETER": Rule(400, INVALID_REQUEST, "missing_required_parameter"),
    "INVALID_TYPE": Rule(400, INVALID_REQUEST, "invalid_type"),
    "INVALID_VALUE": Rule(400, INVALID_REQUEST, "invalid_value"),
    "UNKNOWN_PARAMETER": Rule(400, INVALID_REQUEST, "unknown_parameter"),
    "UNSUPPORTED_PARAMETER": Rule(400, INVALID_REQUEST, "unsupported_parameter"),
    "UNSUPPORTED_CONTENT": Rule(400, INVALID_REQUEST, "unsupported_content"),
    "MODEL_NOT_FOUND": Rule(404, INVALID_REQUEST, "model_not_found"),
    "PREVIOUS_RESPONSE_NOT_FOUND": Rule(400, INVALID_REQUEST, "previous_response_not_found"),
    "PREVIOUS_RESPONSE_NOT_USABLE": Rule(400, INVALID_REQUEST, "previous_response_not_usable"),
    "ITEM_NOT_FOUND": Rule(404, INVALID_REQUEST, "item_not_found"),
    "TOOL_CALL_NOT_FOUND": Rule(400, INVALID_REQUEST, "tool_call_not_found"),
    "CONTEXT_LENGTH_EXCEEDED": Rule(400, INVALID_REQUEST, "context_length_exceeded"),
    "INVALID_API_KEY": Rule(401, INVALID_REQUEST, "invalid_api_key", {"WWW-Authenticate": "Bearer"}),
    "RESPONSE_NOT_FOUND": Rule(404, INVALID_REQUEST, None),
    "NOT_CANCELLABLE": Rule(400, INVALID_REQUEST, "not_cancellable"),
    "IDEMPOTENCY_KEY_REUSED": Rule(422, INVALID_REQUEST, "idempotency_key_reused"),
    "RATE_LIMIT_EXCEEDED": Rule(429, RATE_LIMIT, "rate_limit_exceeded", retry_after=1),
    "UNAVAILABLE": Rule(503, SERVER_ERROR, "unavailable", retry_after=1),
    "STORE_UNAVAILABLE": Rule(503, SERVER_ERROR, "store_unavailable"),
    "MODEL_ERROR": Rule(500, SERVER_ERROR, "model_error", NO_RETRY),
    "DEADLINE_EXCEEDED": Rule(504, SERVER_ERROR, "timeout", NO_RETRY),
    "INTERNAL": Rule(500, SERVER_ERROR, "server_error"),
}

# Failures that only HTTP has.
HTTP_RULES: Mapping[str, Rule] = {
    "MALFORMED_HTTP": Rule(400, INVALID_REQUEST, None),
    "REQUEST_TIMEOUT": Rule(408, INVALID_REQUEST, "request_timeout"),
    "MALFORMED_JSON": Rule(400, INVALID_REQUEST, None),
    "UNSUPPORTED_MEDIA_TYPE": Rule(415, INVALID_REQUEST, "unsupported_media_type"),
    "UNKNOWN_ROUTE": Rule(404, INVALID_REQUEST, None),
    "METHOD_NOT_ALLOWED": Rule(405, INVALID_REQUEST, None),
    "ORIGIN_NOT_ALLOWED": Rule(403, INVALID_REQUEST, "origin_not_allowed"),
    "WEBSOCKET_CONNECTION_LIMIT_REACHED": Rule(400, INVALID_REQUEST, "websocket_connection_limit_reached"),
}

RULES: Mapping[str, Rule] = {**SERVICE_RULES, **HTTP_RULES}
# Of the service's reasons, by their code on the wire.
REASON_OF_CODE: Mapping[str, str] = {rule.code: reason for reason, rule in SERVICE_RULES.items() if rule.code}


class Fault(NamedTuple):
    """One thing that is wrong with a request. `param`: its path, in the words of the contract."""

    reason: str
    message: str
    param: str


class ApiError(Exception):
    """A failure that the client is told about.

    `reason` is a key of RULES. `retry_after` is in seconds. `response` is the JSON of a failed response that stands
    beside the error, as a value orjson can write. `faults` are all that the service found, of which the error itself
    tells one. `detail` is for the log only.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        param: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        status: int | None = None,
        response: Mapping[str, Any] | None = None,
        faults: Sequence[Fault] = (),
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.rule = RULES[reason]
        self.message = message
        self.param = param
        self.status = status or self.rule.status
        self.response = response
        self.faults = tuple(faults)
        self.detail = detail
        self.retry_after = self.rule.retry_after if retry_after is None else retry_after
        self._headers = headers or {}

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the reply that say more about the failure."""
        headers = {**self.rule.headers, **self._headers}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return headers

    def message_for(self, request_id: str) -> str:
        """The message; of what nobody foresaw, with the id under which the log has the details."""
        if self.reason != "INTERNAL" or request_id in self.message:
            return self.message
        return f"{self.message} (request {request_id})"

    def body(self, request_id: str) -> bytes:
        """OpenAI's envelope, as UTF-8 JSON."""
        beside = {} if self.response is None else {"response": self.response}
        return orjson.dumps({"error": self._error(request_id), **beside})

    def event(self, request_id: str) -> bytes:
        """The error event of a WebSocket, as UTF-8 JSON: it always has a code, and says in itself what headers say."""
        error = self._error(request_id)
        error["code"] = error["code"] or self.reason.lower()
        beside = {"headers": self.headers} if self.headers else {}
        return orjson.dumps({"type": "error", "status": self.status, "error": {**error, **beside}})

    def _error(self, request_id: str) -> dict[str, str | None]:
        message = self.message_for(request_id)
        return {"message": message, "type": self.rule.type, "param": self.param, "code": self.rule.code}


def malformed_json(message: str = NOT_JSON) -> ApiError:
    return ApiError("MALFORMED_JSON", message)


def internal_error(detail: str) -> ApiError:
    """For what nobody foresaw; `detail` goes to the log, never to the client."""
    return ApiError("INTERNAL", "Internal error", detail=detail)


def request_too_large(limit: int) -> ApiError:
    """The body has more than `limit` bytes."""
    return ApiError(
        "REQUEST_TOO_LARGE",
        f"The body of your request is larger than {limit} bytes.",
        detail="the limit is ANSWERD_MAX_BODY_BYTES",
    )
