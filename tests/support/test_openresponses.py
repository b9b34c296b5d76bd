"""The checker of the Open Responses schema takes good objects, and makes the promised exceptions only."""

import copy
from typing import Any

import orjson
import pytest

from facade.events import EventWriter
from facade.writer import write_whole_response
from tests.facade import scripts
from tests.support.openresponses import EVENT_SCHEMAS, validate_event, validate_response
from tests.support.sse import parse_frame


def response() -> dict[str, Any]:
    written: dict[str, Any] = orjson.loads(orjson.dumps(write_whole_response(scripts.completed([]))))
    return written


def event(place: int) -> dict[str, Any]:
    return parse_frame(EventWriter().frame(scripts.text("Hi")[place]).decode().removesuffix("\n\n"))


def test_a_good_response_passes() -> None:
    validate_response(response())


@pytest.mark.parametrize("key", sorted(response().keys() - {"output_text"}))
def test_every_key_of_a_response_is_required(key: str) -> None:
    broken = response()
    del broken[key]
    with pytest.raises(AssertionError):
        validate_response(broken)


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", None), ("created_at", 1.5), ("reasoning", {}), ("top_logprobs", None), ("output", [{}])],
)
def test_a_wrong_value_in_a_response_is_noticed(key: str, value: Any) -> None:
    with pytest.raises(AssertionError):
        validate_response({**response(), key: value})


def test_the_schema_of_a_format_is_exempt_but_nothing_beside_it() -> None:
    shape = {"type": "json_schema", "name": "s", "description": None, "schema": {"type": "object"}, "strict": False}
    good = {**response(), "text": {"format": shape}}
    before = copy.deepcopy(good)
    validate_response(good)
    assert good == before
    for broken in ({**shape, "strict": None}, {**shape, "schema": "{}"}, {**shape, "name": 3}):
        with pytest.raises(AssertionError):
            validate_response({**response(), "text": {"format": broken}})


def test_all_events_of_the_specification_are_known() -> None:
    assert len(EVENT_SCHEMAS) == 24


def test_a_good_event_passes() -> None:
    validate_event(event(4))


@pytest.mark.parametrize("key", ["item_id", "delta", "sequence_number", "content_index"])
def test_an_event_without_a_key_is_noticed(key: str) -> None:
    broken = event(4)
    del broken[key]
    with pytest.raises(AssertionError):
        validate_event(broken)


def test_an_event_of_no_known_type_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no event"):
        validate_event({**event(4), "type": "acme:trace"})


def test_a_reasoning_event_of_openai_is_checked_like_its_twin() -> None:
    good = {**event(4), "type": "response.reasoning_text.delta"}
    validate_event(good)
    with pytest.raises(AssertionError):
        validate_event({**good, "delta": 3})


def test_a_broken_response_within_an_event_is_noticed() -> None:
    broken = event(0)
    del broken["response"]["usage"]
    with pytest.raises(AssertionError):
        validate_event(broken)
