"""One slot, and clients that leave it, wait for it, or come too late."""

from __future__ import annotations

import time
from contextlib import ExitStack

import grpc
import httpx2
import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input
from answerd.v1.response_pb2 import IncompleteReason, ResponseStatus
from tests.e2e.api import STORY, Api
from tests.e2e.rpc import Rpc
from tests.e2e.stored import statuses
from tests.support.server import Server

# As many tokens take a minute or so: whoever gets an answer before that got the slot of somebody who left.
MINUTES = 3500
PROMPTLY = 10.0
STORY_FOR_MINUTES = CreateResponseRequest(input=Input(text=STORY), temperature=0, max_output_tokens=MINUTES)


def answer_after_leaving(api: Api) -> float:
    """How long the next request takes, in seconds."""
    began = time.monotonic()
    assert api.create(max_output_tokens=4)["usage"]["output_tokens"] <= 4
    return time.monotonic() - began


def test_a_client_that_leaves_its_stream_frees_the_slot_and_leaves_what_was_said(narrow: Server) -> None:
    with Api(narrow.url) as api:
        with api.stream(input=STORY, max_output_tokens=MINUTES) as stream:
            stream.read_text(5)
        assert answer_after_leaving(api) < PROMPTLY
        left = api.get(stream.id)
    assert (left["status"], left["incomplete_details"]) == ("cancelled", {"reason": "cancelled"})
    assert left["output_text"].startswith(stream.text)
    assert left["output"][-1]["status"] == "incomplete"
    assert left["usage"]["output_tokens"] < MINUTES


@pytest.mark.parametrize(
    "kind",
    ["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
     "content_part.done", "output_item.done", "incomplete"],
)  # fmt: skip
def test_a_client_may_leave_at_any_event(narrow: Server, kind: str) -> None:
    """What it leaves is never in progress, and the only slot is free for the next one."""
    length = 4 if kind.endswith(("done", "incomplete")) else MINUTES
    with Api(narrow.url) as api:
        with api.stream(input=STORY, max_output_tokens=length) as stream:
            stream.read_until(f"response.{kind}")
        assert answer_after_leaving(api) < PROMPTLY
        left = api.get(stream.id)
    assert left["status"] in ({"incomplete", "cancelled"} if length == 4 else {"cancelled"})
    assert (left["output_text"] or "").startswith(stream.text)


def test_a_client_that_gives_up_waiting_for_its_json_frees_the_slot(narrow: Server) -> None:
    body = {"input": STORY, "temperature": 0, "max_output_tokens": MINUTES}
    with Api(narrow.url) as api:
        before = statuses(narrow.store_path)
        with pytest.raises(httpx2.ReadTimeout):
            api.http.post("/v1/responses", json=body, timeout=1.5)
        assert answer_after_leaving(api) < PROMPTLY
        (left, _) = [status for id, status in statuses(narrow.store_path).items() if id not in before]
    assert left == "cancelled"


def test_a_cancelled_grpc_call_frees_the_slot_and_leaves_what_was_said(narrow: Server) -> None:
    with Api(narrow.url) as api, Rpc(narrow.grpc_target) as rpc:
        with rpc.stream(STORY_FOR_MINUTES) as stream:
            stream.read_text(5)
        assert answer_after_leaving(api) < PROMPTLY
        left = rpc.get(stream.id)
    assert left.status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    assert left.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_CANCELLED
    assert left.output[0].message.content[0].output_text.text.startswith(stream.text)
    assert left.usage.output_tokens < MINUTES


def test_a_response_that_is_deleted_while_it_runs_ends_and_frees_the_slot(narrow: Server) -> None:
    with Api(narrow.url) as api, api.stream(input=STORY, max_output_tokens=MINUTES) as stream:
        stream.read_text(3)
        assert api.http.delete(f"/v1/responses/{stream.id}").status_code == 200
        assert stream.read_to_end().end["status"] == "cancelled"
        assert answer_after_leaving(api) < PROMPTLY
        assert api.http.get(f"/v1/responses/{stream.id}").status_code == 404


def test_one_request_more_than_slot_and_queue_hold_is_refused_at_once_and_leaves_nothing(narrow: Server) -> None:
    with Api(narrow.url) as api, Rpc(narrow.grpc_target) as rpc, ExitStack() as leaving:
        running = leaving.enter_context(api.stream(input=STORY, max_output_tokens=MINUTES)).read_text(1)
        with api.stream() as waiting:
            waiting.read_until("response.created")
            before = statuses(narrow.store_path).keys()
            assert before >= {running.id, waiting.id}
            refused = api.refused()
            over_grpc = rpc.refused("CreateResponse", STORY_FOR_MINUTES)
            assert statuses(narrow.store_path).keys() == before
            leaving.close()
            assert waiting.read_to_end().end["output"]
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert (over_grpc.code, over_grpc.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED")
