"""The response at admission shows the values in effect."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.response_pb2 import Response
from service.echo import initial_response, is_stored


def echoed(fields: dict[str, Any]) -> dict[str, Any]:
    """The response to such a request in the contract's own JSON form, defaults of the wire included."""
    request = ParseDict(fields, CreateResponseRequest())
    response = initial_response(request, id="resp_1", model="SmolLM2", created_at=1_700_000_000)
    return MessageToDict(response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


DEFAULTS = {
    "id": "resp_1",
    "created_at": "1700000000",
    "status": "RESPONSE_STATUS_IN_PROGRESS",
    "model": "SmolLM2",
    "output": [],
    "tools": [],
    "tool_choice": {"mode": "TOOL_CHOICE_MODE_AUTO"},
    "parallel_tool_calls": True,
    "truncation": "TRUNCATION_DISABLED",
    "text": {"format": {"text": {}}, "verbosity": "VERBOSITY_UNSPECIFIED"},
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "store": True,
    "background": False,
    "service_tier": "SERVICE_TIER_DEFAULT",
    "metadata": {},
}


def test_defaults_are_filled_in_and_the_rest_stays_unset() -> None:
    assert echoed({"input": {"text": "Hello"}}) == DEFAULTS


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.0},
        {"top_p": 0.0},
        {"presence_penalty": -1.5, "frequency_penalty": 1.5},
        {"store": False},
        {"parallel_tool_calls": False},
        {"max_output_tokens": "100", "max_tool_calls": "3"},
        {"previous_response_id": "resp_0", "instructions": "Be brief."},
        {"instructions": ""},
        {"safety_identifier": "s", "prompt_cache_key": "k", "metadata": {"note": "n"}},
        {"text": {"format": {"text": {}}, "verbosity": "VERBOSITY_LOW"}},
        {"tool_choice": {"mode": "TOOL_CHOICE_MODE_NONE"}},
        {"reasoning": {"effort": "REASONING_EFFORT_NONE", "summary": "REASONING_SUMMARY_AUTO"}},
        {"reasoning": {"effort": "REASONING_EFFORT_UNSPECIFIED", "summary": "REASONING_SUMMARY_UNSPECIFIED"}},
    ],
)
def test_what_the_request_named_is_echoed(fields: dict[str, Any]) -> None:
    assert echoed(fields) == {**DEFAULTS, **fields}


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"model": "default"}, {}),
        ({"service_tier": "SERVICE_TIER_FLEX"}, {}),
        ({"user": "somebody", "seed": "7", "top_k": "40", "stop": ["a"]}, {}),
        ({"truncation": "TRUNCATION_UNSPECIFIED"}, {}),
        ({"tool_choice": {"mode": "TOOL_CHOICE_MODE_UNSPECIFIED"}}, {}),
        ({"text": {"verbosity": "VERBOSITY_HIGH"}}, {"text": {**DEFAULTS["text"], "verbosity": "VERBOSITY_HIGH"}}),  # type: ignore[dict-item]
    ],
)
def test_what_has_no_place_or_another_value_in_effect_is_not(fields: dict[str, Any], shown: dict[str, Any]) -> None:
    assert echoed(fields) == {**DEFAULTS, **shown}


@pytest.mark.parametrize(("asked", "shown"), [("MINIMAL", "LOW"), ("MAX", "XHIGH"), ("HIGH", "HIGH")])
def test_efforts_that_clients_do_not_know_are_shown_as_the_nearest(asked: str, shown: str) -> None:
    response = echoed({"reasoning": {"effort": f"REASONING_EFFORT_{asked}"}})
    assert response["reasoning"]["effort"] == f"REASONING_EFFORT_{shown}"


def test_allowed_tools_always_name_their_mode() -> None:
    response = echoed({"tool_choice": {"allowed_tools": {"tools": [{"name": "f"}]}}})
    assert response["tool_choice"]["allowed_tools"] == {"tools": [{"name": "f"}], "mode": "TOOL_CHOICE_MODE_AUTO"}


def test_a_named_tool_is_echoed() -> None:
    assert echoed({"tool_choice": {"function": {"name": "f"}}})["tool_choice"] == {"function": {"name": "f"}}


def test_every_field_of_a_response_has_been_thought_of() -> None:
    """A field that the contract gains must be echoed, or named here as one that comes later or may stay unset."""
    later = {"completed_at", "incomplete_details", "error", "usage", "reasoning"}
    copied = {"previous_response_id", "instructions", "max_output_tokens", "max_tool_calls", "safety_identifier"}
    assert set(Response.DESCRIPTOR.fields_by_name) == set(DEFAULTS) | later | copied | {"prompt_cache_key"}


@pytest.mark.parametrize(("given", "kept"), [(None, True), (True, True), (False, False)])
def test_responses_are_kept_unless_told_otherwise(given: bool | None, kept: bool) -> None:
    assert is_stored(CreateResponseRequest(store=given)) is kept


def test_an_unstored_parent_is_echoed_as_what_the_response_continues() -> None:
    fields = {"input": {"text": "Hello"}, "previous_response_id": "resp_0", "unstored_parent_id": "resp_1"}
    assert echoed(fields)["previous_response_id"] == "resp_1"
