"""A disk that is full: new responses are refused, stored ones stay, and all is well once there is room again.

The service runs into the system's limit on file sizes, which it meets in the same place as a full disk.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input
from tests.e2e.api import STORY, Api
from tests.e2e.conftest import Start
from tests.e2e.rpc import Rpc
from tests.e2e.stored import statuses
from tests.support.server import Server


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """Within it, no file of the service grows."""
    pid = server.pid_of("service")
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_refuses_new_responses_and_harms_none_that_are_stored(start: Start) -> None:
    server = start()
    with Api(server.url) as api, Rpc(server.grpc_target) as rpc:
        stored = api.create()
        with full_disk(server):
            refused = api.refused()
            over_grpc = rpc.refused("CreateResponse", CreateResponseRequest(input=Input(text="Hello!")))
            assert api.get(stored["id"]) == stored
            assert api.create(store=False)["output_text"]
        assert refused.status_code == 503
        error = refused.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("server_error", "store_unavailable", None)
        assert (over_grpc.code, over_grpc.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        after = api.create(previous_response_id=stored["id"])
        assert api.get(after["id"]) == after
        a_stream_whose_end_cannot_be_stored_says_so(server, api)
    assert server.stop() == 0
    assert statuses(server.store_path).keys() >= {stored["id"], after["id"]}


def a_stream_whose_end_cannot_be_stored_says_so(server: Server, api: Api) -> None:
    with api.stream(input=STORY, max_output_tokens=64) as stream:
        stream.read_text(1)
        with full_disk(server):
            stream.read_to_end()
    error = next(event for event in stream.seen if event["type"] == "error")
    assert error["error"]["code"] == "store_unavailable"
    assert (stream.seen[-1]["type"], stream.end["status"]) == ("response.failed", "failed")
    assert stream.end["output"][0]["content"][0]["text"] == stream.text
    assert api.get(stream.id)["status"] == "failed"
