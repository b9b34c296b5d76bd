"""Reads bodies of POST /v1/responses for tests, into what is easy to compare."""

from typing import Any

import pytest
from google.protobuf import json_format

from facade.create_request import read_create_request
from facade.errors import ApiError


def read(**body: Any) -> dict[str, Any]:
    """The message for the service, as the names and values that were set."""
    message = read_create_request(body).message
    written: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return written


def refusal(body: dict[str, Any]) -> tuple[str, str | None]:
    """The reason and the param with which the body is refused."""
    with pytest.raises(ApiError) as caught:
        read_create_request(body)
    assert caught.value.status == 400
    return caught.value.reason, caught.value.param
