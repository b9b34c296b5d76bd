"""Reads a message of a client: the body of POST /v1/responses with `"type": "response.create"` beside it.

It knows no connection, and nothing of the conversation so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from answerd.v1.create_response_pb2 import CreateResponseRequest
from facade.create_request import CreateRequest, read_keys
from facade.errors import ApiError
from facade.reader import invalid_type, invalid_value, missing
from facade.unsupported import unsupported

CREATE = "response.create"
STEER = "response.steer"


def read_create_message(body: Mapping[str, Any]) -> CreateRequest:
    """The request in a message. Raises ApiError for another type of message, and as `read_create_request`."""
    _check_type(body.get("type"))
    message = CreateResponseRequest()
    return CreateRequest(message, stream=True, keys=read_keys(body, message, BESIDE))


def _check_type(kind: object) -> None:
    if kind is None:
        raise missing("type")
    if not isinstance(kind, str):
        raise invalid_type("type", "a string", kind)
    if kind == STEER:
        message = f"'{STEER}' is not supported by this server: a response goes on as it was created."
        raise ApiError("UNSUPPORTED_PARAMETER", message, "type")
    if kind != CREATE:
        raise invalid_value("type", f"'{kind[:100]}' is not '{CREATE}'.")


def _never(_: object, key: str) -> None:
    message = f"'{key}' must not be sent over a WebSocket, where every response is a stream of events."
    raise ApiError("UNSUPPORTED_PARAMETER", message, key)


def _only(harmless: object) -> Callable[[object, str], None]:
    """Lets null pass, and the one value that changes nothing."""

    def check(value: object, key: str) -> None:
        if value is not None and value != harmless:
            raise unsupported(key)

    return check


# Keys that have no field. `generate` and `stream_id` are OpenAI's own: turns without output, and several at a time.
BESIDE: Mapping[str, Callable[[object, str], None]] = {
    "type": lambda value, key: None,
    "stream": _never,
    "stream_options": _never,
    "background": _never,
    "stream_format": _only("events"),
    "generate": _only(True),
    "stream_id": _only(None),
}
