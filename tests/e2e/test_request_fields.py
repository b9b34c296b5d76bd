"""No field of a request is ignored in silence: each is honoured, echoed, refused by name or a hint that README names.

Both APIs of one server are asked. Over gRPC that is so for each row whose field the contract has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import pytest
from google.protobuf.message import Message

from answerd.v1.content_pb2 import ContentPart
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.grammar_pb2 import Grammar
from answerd.v1.item_pb2 import Item, MessageItem
from answerd.v1.reasoning_pb2 import ReasoningConfig
from answerd.v1.text_pb2 import TextConfig, TextFormat
from answerd.v1.tool_choice_pb2 import ToolChoice
from answerd.v1.tool_pb2 import FunctionTool
from facade.create_request import ALIASES, HTTP_KEYS, KNOWN, read_create_request
from facade.errors import ApiError
from facade.shapes import shape_of
from facade.unsupported import KEYS, PARTS
from tests.docs.markdown import Page
from tests.e2e.api import Api
from tests.e2e.field_row import Json, Row, prompt, text
from tests.e2e.request_fields import PARENT, ROWS, UNKNOWN
from tests.e2e.rpc import Rpc, refusal_of
from tests.support.event_json import response_json
from tests.support.named_tests import is_there
from tests.support.sse import parse_frames
from tests.support.stack import Stack, running_stack

BASE: Json = {"input": "ab, ab, ab: ab", "temperature": 0, "max_output_tokens": 24}


@dataclass(frozen=True)
class Refused:
    code: str
    param: str


class Side(Protocol):
    """One of the APIs."""

    def ask(self, body: Json) -> Json | Refused: ...


class Http:
    def __init__(self, api: Api) -> None:
        self._api = api

    def ask(self, body: Json) -> Json | Refused:
        reply = self._api.http.post("/v1/responses", json=body)
        if reply.status_code != 200:
            assert reply.status_code in (400, 404), reply.text
            error = reply.json()["error"]
            return Refused(error["code"], error["param"])
        streamed = reply.headers["content-type"].startswith("text/event-stream")
        assert streamed == body.get("stream", False)
        response: Json = parse_frames(reply.content)[-1]["response"] if streamed else reply.json()
        return response


class Grpc:
    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def ask(self, body: Json) -> Json | Refused:
        message = read_create_request(body).message
        try:
            with self._rpc.stream(message) as stream:
                return response_json(stream.read_to_end().end)
        except grpc.RpcError as error:
            fault = refusal_of(error)
            return Refused((fault.reason or "").lower(), fault.fields[0])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A model that has an opinion on every token: pseudo-random logits, made of all tokens so far."""
    with running_stack(tmp_path_factory.mktemp("stack"), {}, context=2048, reply=lambda prompt: None) as stack:
        yield stack


@pytest.fixture(scope="module")
def over_http(stack: Stack) -> Iterator[Side]:
    with Api(stack.url) as api:
        yield Http(api)


@pytest.fixture(scope="module")
def over_grpc(stack: Stack) -> Iterator[Side]:
    with Rpc(stack.grpc_target) as rpc:
        yield Grpc(rpc)


@pytest.fixture(scope="module")
def parent(over_http: Side) -> str:
    return str(answered(over_http.ask({**BASE, "input": "Hello."}))["id"])


def answered(reply: Json | Refused) -> Json:
    assert not isinstance(reply, Refused), reply
    return reply


def found(response: Json, path: str) -> object:
    value: Any = response
    for key in path.split("."):
        value = value[key]
    return value


def is_in_contract(row: Row) -> bool:
    """What is said in another spelling over HTTP, or has no place in the messages, is not."""
    try:
        return row.key in KNOWN and bool(read_create_request(row.says))
    except ApiError:
        return False


def check(side: Side, row: Row, parent: str) -> None:
    """Holds the row against what the server does."""
    without = {**BASE, **row.beside}
    said = {key: parent if value == PARENT else value for key, value in row.says.items()}
    spelt = ALIASES[row.key].target[0] if row.key in ALIASES else None
    reply = side.ask({**{key: value for key, value in without.items() if key != spelt}, **said})
    if row.refused is not None:
        assert reply == Refused(*row.refused)
        return
    response = answered(reply)
    for path, value in row.echoed.items():
        assert found(response, path) == (parent if value == PARENT else value)
    if row.effect is not None:
        assert row.effect(response) != row.effect(answered(side.ask(without)))
    if row.idle:
        plain = answered(side.ask(without))
        assert (text(response), prompt(response)) == (text(plain), prompt(plain))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_field_does_over_http_what_its_row_says(over_http: Side, parent: str, row: Row) -> None:
    check(over_http, row, parent)


@pytest.mark.parametrize("row", [row for row in ROWS if is_in_contract(row)], ids=lambda row: row.name)
def test_a_field_does_over_grpc_what_its_row_says(over_grpc: Side, parent: str, row: Row) -> None:
    check(over_grpc, row, parent)


def test_every_row_shows_something_and_the_tests_that_it_names_are_there() -> None:
    assert [row.name for row in ROWS if not (row.effect or row.idle or row.refused or row.shown)] == []
    assert [name for row in ROWS for name in row.shown if not is_there(name)] == []


def test_every_key_has_a_row() -> None:
    assert {row.key for row in ROWS} - {UNKNOWN} == {*KNOWN, *ALIASES, *HTTP_KEYS, *KEYS}


def test_every_part_that_only_others_know_has_a_row() -> None:
    told = json.dumps([row.says for row in ROWS])
    assert [key for keys in PARTS.values() for key in keys if f'"{key}"' not in told] == []


@pytest.mark.parametrize("message", [Item, ContentPart, TextConfig, TextFormat, ReasoningConfig, FunctionTool, Grammar])
def test_every_part_of_a_key_has_a_row(message: type[Message]) -> None:
    """A field or a type that the contract gains has to be thought of."""
    told = json.dumps([row.says for row in ROWS])
    assert [name for name in shape_of(message.DESCRIPTOR).fields if f'"{name}"' not in told] == []


@pytest.mark.parametrize(
    ("message", "name"),
    [
        *((CreateResponseRequest, name) for name in ("include", "truncation", "service_tier")),
        (Grammar, "type"),
        (TextConfig, "verbosity"),
        (ReasoningConfig, "effort"),
        (ReasoningConfig, "summary"),
        (MessageItem, "role"),
        (MessageItem, "phase"),
        (ToolChoice, "mode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_word_of_a_key_has_a_row(message: type[Message], name: str) -> None:
    choices = shape_of(message.DESCRIPTOR).fields[name].choices
    assert choices is not None
    told = json.dumps([row.says for row in ROWS])
    assert [word for word in choices.number_by_json if f'"{word}"' not in told] == []


def test_readme_names_every_hint_that_has_no_effect() -> None:
    [sentence] = re.findall(r"because they are hints: (.*?)\.\n", Page("README.md").text, re.DOTALL)
    assert set(re.findall(r"`([a-z_.]+)`", sentence)) == {row.path for row in ROWS if row.hint}
