"""Requests that are wrong, over HTTP as clients send them: each is refused by name, and the server goes on."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.conftest import BODY_LIMIT
from tests.support.server import HOST, Server

INVALID_REQUEST = "invalid_request_error"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Refused:
    """A request and how it is refused."""

    name: str
    status: int
    code: str | None
    param: str | None = None
    says: str = ""
    body: Any = None
    method: str = "POST"
    path: str = "/v1/responses"
    headers: dict[str, str] = field(default_factory=lambda: JSON)


def wrong(name: str, code: str, param: str, status: int = 400, says: str = "", **body: Any) -> Refused:
    return Refused(name, status, code, param, says, {"input": "Hello!", **body})


def part(**content: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "input_text", "text": "See:"}, content]}]


def function(type: str = "object", pattern: str = ".*", *, strict: bool = False) -> dict[str, Any]:
    properties = {"a": {"type": "string", "pattern": pattern}}
    return {"type": "function", "name": "f", "parameters": {"type": type, "properties": properties}, "strict": strict}


UNREADABLE = "could not parse the JSON body"
UNKNOWN = "resp_00000000000000000000000000000000"
CASES = [
    Refused("no JSON", 400, None, says=UNREADABLE, body=b"{'input': 'Hello!'}"),
    Refused("JSON that is cut off", 400, None, says=UNREADABLE, body=b'{"input": "Hel'),
    Refused("no body", 400, None, says=UNREADABLE, body=b""),
    Refused("an array", 400, None, says=UNREADABLE, body=b"[]"),
    Refused("invalid UTF-8", 400, None, says=UNREADABLE, body=b'{"input": "\xff"}'),
    Refused("half a surrogate pair", 400, None, says=UNREADABLE, body=rb'{"input": "\ud83d"}'),
    Refused("NaN", 400, None, says=UNREADABLE, body=b'{"input": "a", "temperature": NaN}'),
    Refused("deep nesting", 400, None, says=UNREADABLE, body=b'{"input": ' + b"[" * 100_000),
    Refused("a form", 415, "unsupported_media_type", body=b"input=a", headers={"content-type": "text/plain"}),
    Refused("a body over the limit", 413, "request_too_large", says=str(BODY_LIMIT), body=b" " * (BODY_LIMIT + 1)),
    Refused("no input", 400, "missing_required_parameter", "input", body={}),
    Refused("null as input", 400, "missing_required_parameter", "input", body={"input": None}),
    wrong("no items", "invalid_value", "input", input=[]),
    wrong("a number as input", "invalid_type", "input", input=7),
    wrong("a number as content", "invalid_type", "input[0].content", input=[{"role": "user", "content": 7}]),
    wrong("a string as number", "invalid_type", "temperature", temperature="hot"),
    wrong("a fraction as integer", "invalid_type", "max_output_tokens", max_output_tokens=1.5),
    wrong("a number as boolean", "invalid_type", "stream", stream=1),
    wrong("an array as metadata", "invalid_type", "metadata", metadata=["a"]),
    wrong("an unknown key", "unknown_parameter", "temprature", temprature=1),
    wrong("an unknown inner key", "unknown_parameter", "text.colour", text={"colour": "red"}),
    wrong("an unknown role", "invalid_value", "input[0].role", input=[{"role": "king", "content": "Hello!"}]),
    wrong("an unknown item", "invalid_value", "input[0].type", input=[{"type": "song", "content": "Hello!"}]),
    wrong("temperature", "invalid_value", "temperature", temperature=2.5),
    wrong("top_p", "invalid_value", "top_p", top_p=-0.1),
    wrong("presence_penalty", "invalid_value", "presence_penalty", presence_penalty=3),
    wrong("no output tokens", "invalid_value", "max_output_tokens", max_output_tokens=0),
    wrong("an integer beyond 64 bits", "invalid_value", "seed", seed=2**64),
    wrong("too many stops", "invalid_value", "stop", stop=["a"] * 17),
    wrong("long metadata", "invalid_value", "metadata.a", metadata={"a": "x" * 513}),
    wrong("two spellings", "invalid_value", "max_tokens", max_output_tokens=16, max_tokens=17),
    wrong("the second of two faults", "invalid_value", "temperature", temperature=9, top_p=9),
    wrong("a hosted tool", "unsupported_parameter", "tools[0]", says="web_search", tools=[{"type": "web_search"}]),
    wrong("a tool of arrays", "invalid_value", "tools[0].parameters", tools=[function(type="array")]),
    wrong("an impossible tool", "invalid_value", "tools[0].parameters", tools=[function(pattern="(?=a)", strict=True)]),
    wrong("an unknown tool", "invalid_value", "tool_choice.name", tool_choice={"type": "function", "name": "f"}),
    wrong(
        "an output without a call",
        "tool_call_not_found",
        "input",
        says="No tool call found for function call output with call_id",
        input=[{"type": "function_call_output", "call_id": "call_1", "output": "1"}],
    ),
    wrong("background", "invalid_value", "background", background=True, store=False),
    wrong("a key of OpenAI", "unsupported_parameter", "conversation", conversation="conv_1"),
    wrong("an image", "unsupported_content", "input[0].content[1]", input=part(type="input_image", image_url="x:")),
    wrong("a file", "unsupported_content", "input[0].content[1]", input=part(type="input_file", file_url="file:///")),
    wrong("an unknown model", "model_not_found", "model", 404, "gpt-4o", model="gpt-4o"),
    wrong(
        "no such parent",
        "previous_response_not_found",
        "previous_response_id",
        400,
        f"Previous response with ID '{UNKNOWN}' not found.",
        previous_response_id=UNKNOWN,
    ),
    wrong("an over-long prompt", "context_length_exceeded", "input", 400, "at most 40", input="word " * 5000),
    Refused(
        "no such response", 404, None, says=f"'{UNKNOWN}' not found", method="GET", path=f"/v1/responses/{UNKNOWN}"
    ),
    Refused("nothing to delete", 404, None, says="not found", method="DELETE", path=f"/v1/responses/{UNKNOWN}"),
    Refused("no such model", 404, "model_not_found", "model", "gpt-4o", method="GET", path="/v1/models/gpt-4o"),
    Refused("no such route", 404, None, says="/v1/nothing", method="GET", path="/v1/nothing"),
    Refused("the older route", 404, None, says="/v1/responses", path="/v1/chat/completions", body={}),
    Refused("another method", 405, None, says="Allowed", method="PUT", body={}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_wrong_request_is_refused_with_its_fault_and_no_other(api: Api, case: Refused, stream: bool) -> None:
    body = json.dumps({"stream": stream, **case.body}) if isinstance(case.body, dict) else case.body
    reply = api.http.request(case.method, case.path, headers=case.headers, content=body)
    error = reply.json()["error"]
    said = (reply.status_code, error["type"], error["code"], error["param"])
    assert said == (case.status, INVALID_REQUEST, case.code, case.param), error["message"]
    assert case.says in error["message"]
    assert "Traceback" not in reply.text


def test_a_wrong_method_is_told_which_ones_there_are(api: Api) -> None:
    assert api.http.put("/v1/responses").headers["allow"] == "GET, POST"


def test_what_is_no_http_gets_an_answer_in_the_same_envelope(server: Server) -> None:
    with socket.create_connection((HOST, int(str(server.settings["http_port"]))), timeout=10) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        reply = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"x-request-id" in head.lower()
    assert b"invalid_request_error" in body


def test_after_all_of_that_the_server_answers_as_before(api: Api, server: Server) -> None:
    assert api.create()["output_text"]
    assert "Traceback" not in str(server.log)
