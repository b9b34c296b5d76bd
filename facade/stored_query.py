"""Reads the query of GET /v1/responses/{id}: whether the response is wanted, or its events, and from which one on."""

from __future__ import annotations

from typing import TypeAlias

from multidict import MultiMapping

from answerd.v1.stored_response_pb2 import GetResponseRequest, StreamResponseRequest
from facade.query import read_query
from facade.reader import invalid_type, invalid_value

Query: TypeAlias = MultiMapping[str]

BOOLEANS = {"true": True, "false": False}


def read_stored_query(query: Query, response_id: str) -> GetResponseRequest | StreamResponseRequest:
    """The request for the service. Raises ApiError for the parameter that is wrong."""
    streamed = _boolean(query, "stream")
    _boolean(query, "include_obfuscation")  # a hint
    if "starting_after" in query and not streamed:
        raise invalid_value("starting_after", "it needs 'stream=true'.")
    message = StreamResponseRequest() if streamed else GetResponseRequest()
    read_query(query, message)
    message.id = response_id
    return message


def _boolean(query: Query, name: str) -> bool:
    text = query.get(name, "false")
    if text not in BOOLEANS:
        raise invalid_type(name, "a boolean", text)
    return BOOLEANS[text]
