"""Checks JSON objects against the schema of Open Responses, release 2026-04-24, and against the pydantic models of
the package `openresponses-types`, which are made from it and take no number for a text, or the reverse.

The exemptions are those that the wire contract grants, and no others: the schema of a json_schema format, and OpenAI's
names of the reasoning events, which are checked under their names in the specification.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import openresponses_types
import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import BaseModel, ValidationError

DOCUMENT: Mapping[str, Any] = json.loads(files("openresponses").joinpath("openapi/2026-04-24.json").read_bytes())
SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]

EVENT_SCHEMAS: Mapping[str, str] = {
    schema["properties"]["type"]["enum"][0]: name for name, schema in SCHEMAS.items() if name.endswith("StreamingEvent")
}
NAMES_OF_OPENAI = {
    "response.reasoning_text.delta": "response.reasoning.delta",
    "response.reasoning_text.done": "response.reasoning.done",
}


def validate_event(event: Mapping[str, Any]) -> None:
    """Raises AssertionError, with the place and the fault, unless `event` is one of the schema's events."""
    kind = NAMES_OF_OPENAI.get(event.get("type", ""), event.get("type", ""))
    assert kind in EVENT_SCHEMAS, f"{kind!r} is no event of the schema"
    checked = {**event, "type": kind}
    if "response" in event:
        checked["response"] = _without_format_schema(event["response"])
    _validate(EVENT_SCHEMAS[kind], checked)


def validate_response(response: Mapping[str, Any]) -> None:
    """Raises AssertionError, with the place and the fault, unless `response` is a response of the schema."""
    _validate("ResponseResource", _without_format_schema(response))


def validate_compaction(compacted: Mapping[str, Any]) -> None:
    """Raises AssertionError, with the place and the fault, unless it is a compacted response of the schema."""
    _validate("CompactResource", compacted)


def validate_websocket_error(event: Mapping[str, Any]) -> None:
    """Raises AssertionError, with the place and the fault, unless `event` is an error event of a WebSocket."""
    _validate("WebSocketErrorEvent", event)


def _validate(name: str, value: object) -> None:
    fault = best_match(_validator(name).iter_errors(value))
    assert fault is None, f"{name} at {fault.json_path}: {fault.message}"
    model: type[BaseModel] = getattr(openresponses_types, name)
    try:
        model.model_validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        raise AssertionError(f"the model {name} refuses it: {error}") from error


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return Draft202012Validator(schema)


def _without_format_schema(response: Any) -> Any:
    """The specification types the schema of a text format as null, against its own prose."""
    try:
        given = response["text"]["format"]["schema"]
    except (KeyError, TypeError):
        return response
    assert isinstance(given, dict), "a schema is an object"
    exempt = copy.deepcopy(dict(response))
    exempt["text"]["format"]["schema"] = None
    return exempt
