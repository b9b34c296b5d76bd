"""Requests that schemathesis makes from the OpenAPI document, sent to a live facade before the real service.

A reply must be one of those that the document has for its request, and no server error; what streams is read to its end
and checked like every other stream.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from facade.documents import openapi_document
from tests.facade.whole import whole
from tests.support.replies import check_body, check_stream
from tests.support.server import unused_port

ANSWERS = {"hi": "hello", "think": "<think>Hm.</think>Yes."}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(openapi_document())
FOUND = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
OPERATIONS = {operation.definition.raw["operationId"]: operation for operation in FOUND}
MODES = {mode.value: mode for mode in schemathesis.GenerationMode}
# What a body needs to be understood.
NEEDED = {"model": "scripted", "input": "hi"}
SECONDS = 30


@contextmanager
def live(folder: Path) -> Iterator[str]:
    """The URL of a facade that runs on an event loop of its own; within it are the responses of STORED."""
    ready: threading.Event = threading.Event()
    told: dict[str, Any] = {}

    async def serve() -> None:
        stop = told["stop"] = asyncio.Event()
        told["loop"] = asyncio.get_running_loop()
        async with whole(folder, unused_port, ANSWERS) as system:
            told["url"] = system.url
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(SECONDS), "the facade does not start"
        yield told["url"]
    finally:
        told["loop"].call_soon_threadsafe(told["stop"].set)
        thread.join()


def stored(url: str) -> list[str]:
    """Ids of responses of several kinds, for requests to name."""
    bodies: list[Mapping[str, Any]] = [{"input": "hi"}, {"input": "think"}, {"input": "hi", "max_output_tokens": 1}]
    bodies.append({"input": "hi", "background": True})
    return [requests.post(f"{url}/v1/responses", json=body, timeout=SECONDS).json()["id"] for body in bodies]


def can_be_wrong(operation: str) -> bool:
    """Whether the document leaves anything to get wrong in a request."""
    described = OPERATIONS[operation]
    return any((described.body, described.query, described.path_parameters, described.headers))


def fuzz(url: str, operation: str, mode: str, examples: int) -> Counter[int]:
    """Sends so many requests of one operation, such as the document allows, or such as it does not; the statuses."""
    ids, statuses = stored(url), Counter[int]()

    def settle(case: schemathesis.Case[Any], draw: Any) -> None:
        """Half of the requests name a response that there is, or say little enough to be understood."""
        known = draw(st.sampled_from([None, *ids]))
        if known and "id" in case.path_parameters:
            case.path_parameters["id"] = known
        if isinstance(case.body, dict) and case.body and draw(st.booleans()):
            kept = draw(st.sets(st.sampled_from(sorted(case.body)), max_size=3))
            case.body = {**NEEDED, **{key: value for key, value in case.body.items() if key in kept}}
        if known and isinstance(case.body, dict) and "previous_response_id" in case.body:
            case.body["previous_response_id"] = known

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=MODES[mode]), data=st.data())
    def send(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        settle(case, data.draw)
        reply = case.call(base_url=url, timeout=SECONDS)
        case.validate_response(reply, checks=CHECKS)
        check(reply)
        statuses[reply.status_code] += 1

    send()
    return statuses


def check(reply: schemathesis.Response) -> None:
    kind = reply.headers.get("content-type", [""])[0].partition(";")[0]
    if kind == "text/event-stream":
        check_stream(reply.content)
    elif kind == "application/json" and reply.content:
        check_body(reply.status_code, reply.content)
