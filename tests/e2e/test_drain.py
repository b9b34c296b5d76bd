"""A stop signal while streams run: they end well if there is time, and honestly if there is not."""

from __future__ import annotations

from facade.writer import write_response
from tests.e2e.api import STORY, Api
from tests.e2e.conftest import Start
from tests.e2e.stored import response_of, statuses


def test_streams_that_run_when_the_server_is_told_to_stop_are_finished(start: Start) -> None:
    server = start()
    with (
        Api(server.url) as api,
        api.stream(input=STORY, max_output_tokens=40) as first,
        api.stream(input=STORY, max_output_tokens=60) as second,
    ):
        for stream in (first, second):
            stream.read_text(1)
        server.terminate()
        server.log.wait_for("stopping")
        ends = [stream.read_to_end().end for stream in (first, second)]
    assert [end["usage"]["output_tokens"] for end in ends] == [40, 60]
    assert [end["status"] for end in ends] == ["incomplete", "incomplete"]
    assert server.wait() == 0
    stored = statuses(server.store_path)
    assert {stored[stream.id] for stream in (first, second)} == {"incomplete"}


def test_a_stream_that_outlasts_the_grace_fails_with_the_reason_and_is_stored_so(start: Start) -> None:
    server = start(grace_seconds=0.1)
    with Api(server.url) as api, api.stream(input=STORY, max_output_tokens=3500) as stream:
        stream.read_text(3)
        server.terminate()
        stream.read_to_end()
    assert [event["type"] for event in stream.seen[-2:]] == ["error", "response.failed"]
    assert stream.end["error"] == {"code": "server_error", "message": "the server was stopped"}
    assert stream.end["output"][0]["content"][0]["text"] == stream.text
    assert server.wait() == 0
    assert write_response(response_of(server.store_path, stream.id)) == stream.end
