"""What a request leaves in the log: one line of each process, under one id."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.support.server import Server, eventually


def lines_of(server: Server, request_id: str) -> list[dict[str, Any]] | None:
    """The lines that name a request, once both processes have written theirs."""
    found = [json.loads(line) for line in server.log.lines if f'"{request_id}"' in line]
    return found if {"request", "call"} <= {line["event"] for line in found} else None


@pytest.mark.parametrize("streamed", [True, False])
def test_a_request_is_one_line_of_each_process_with_who_what_how_long_and_how_much(
    server: Server, api: Api, streamed: bool
) -> None:
    request_id = f"logged-{streamed}".lower()
    body = {"input": "Hello!", "max_output_tokens": 4, "stream": streamed}
    reply = api.http.post("/v1/responses", json=body, headers={"x-request-id": request_id})
    assert reply.status_code == 200
    lines = eventually(lambda: lines_of(server, request_id))
    assert [line["event"] for line in lines].count("request") == [line["event"] for line in lines].count("call") == 1
    facade, service = sorted(lines, key=lambda line: str(line["event"]), reverse=True)
    assert (facade["component"], facade["method"], facade["route"]) == ("facade", "POST", "/v1/responses")
    assert facade["status"] == 200
    assert (service["component"], service["code"], service["owner"]) == ("service.call", "OK", "local")
    assert service["method"] == "answerd.v1.ResponsesService/CreateResponse"
    for key in ("response_id", "input_tokens", "output_tokens"):
        assert facade[key] == service[key]
    assert facade["output_tokens"] > 0
    assert facade["duration_ms"] >= service["duration_ms"] > 0


def test_a_refused_request_is_one_line_of_each_process_with_the_reason(server: Server, api: Api) -> None:
    reply = api.http.post("/v1/responses", json={"input": "a", "model": "none"}, headers={"x-request-id": "refused-1"})
    assert reply.status_code == 404
    lines = eventually(lambda: lines_of(server, "refused-1"))
    assert len(lines) == 2
    assert {line["reason"] for line in lines} == {"MODEL_NOT_FOUND"}
