"""What a request brings besides its body: its id, and the headers that go on to the service. Knows no routes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from aiohttp import web
from multidict import MultiMapping

from common.request_id import is_request_id
from facade.client import Metadata
from facade.reader import invalid_value

IDEMPOTENCY_KEY = "idempotency-key"
# Header, and what its value must look like. A value that gRPC cannot carry, or that would use up the room it has for
# metadata, stays behind; a key that does is unknown to the service anyway.
PASSED_ON = {
    "authorization": re.compile(r"[ -~]{1,4096}"),
    "traceparent": re.compile(r"[ -~]{1,256}"),
    IDEMPOTENCY_KEY: re.compile(r"[ -~]{1,256}"),
}


class Notes(dict[str, object]):
    """What the log line of a request says beyond method, route, path, status and duration; None is left out."""


REQUEST_ID = web.RequestKey("request_id", str)
NOTES = web.RequestKey("notes", Notes)


def request_id_of(headers: Mapping[str, str]) -> str:
    """The client's `x-request-id` if it is one that the service takes too, else a new id."""
    given = headers.get("x-request-id", "")
    return given if is_request_id(given) else f"req_{uuid.uuid4().hex}"


def check_idempotency_key(headers: MultiMapping[str]) -> None:
    """Raises ApiError for a key that cannot be passed on: left behind in silence, it would protect from nothing."""
    given = headers.getall(IDEMPOTENCY_KEY, [])
    if len(given) > 1 or not all(PASSED_ON[IDEMPOTENCY_KEY].fullmatch(key) for key in given):
        raise invalid_value(IDEMPOTENCY_KEY, "it must be one text of 1 to 256 printable ASCII characters.")


def metadata_of(request: web.Request) -> Metadata:
    """The metadata of the gRPC call that serves `request`."""
    passed = [(name, request.headers.get(name, "")) for name in PASSED_ON]
    sane = [(name, value) for name, value in passed if PASSED_ON[name].fullmatch(value)]
    return [("x-request-id", request[REQUEST_ID]), *sane]
