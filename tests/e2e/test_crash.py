"""A service that is killed in the middle of a stream, and the next start on the same store."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.api import STORY, Api, Stream
from tests.e2e.conftest import Start
from tests.e2e.stored import statuses
from tests.support.server import Server

# The text so far is written once a second.
SECONDS_OF_TEXT = 2.2


def kill_the_service_in_mid_stream(server: Server, stream: Stream) -> None:
    deadline = time.monotonic() + SECONDS_OF_TEXT
    while time.monotonic() < deadline:
        stream.read_text(1)
    os.kill(server.pid_of("service"), signal.SIGKILL)


def assert_is_told_again(delivered: list[dict[str, Any]], replayed: list[dict[str, Any]]) -> None:
    """What was delivered before the last write, and then the end that the next start made of it."""
    written = replayed[:-5]
    assert written == delivered[: len(written)]
    assert [event["type"] for event in written[-2:]] == ["response.output_text.delta"] * 2
    assert [event["type"] for event in replayed[-5:]] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "error",
        "response.failed",
    ]


def test_after_a_kill_streams_end_as_failed_and_the_next_start_knows_what_there_was(start: Start) -> None:
    killed = start()
    with Api(killed.url) as api:
        finished = api.create(max_output_tokens=16)
        with ThreadPoolExecutor(1) as beside, api.stream(input=STORY, max_output_tokens=3500) as stream:
            as_json = beside.submit(api.refused, input=STORY, max_output_tokens=3500)
            kill_the_service_in_mid_stream(killed, stream)
            stream.read_to_end()
            reply = as_json.result()
    assert (reply.status_code, reply.json()["response"]["status"]) == (503, "failed")
    assert [event["type"] for event in stream.seen[-2:]] == ["error", "response.failed"]
    assert stream.end["error"]["code"] == "server_error"
    assert killed.wait() == 128 + signal.SIGKILL
    assert "the service was ended by SIGKILL" in killed.log.wait_for("stopping the facade too")
    assert statuses(killed.store_path)[stream.id] == "in_progress"

    again = start(store=killed.settings["store"])
    again.log.wait_for("2 responses were running when the server last stopped")
    with Api(again.url) as api:
        assert api.get(finished["id"]) == finished
        broken = api.get(stream.id)
        assert (broken["status"], broken["output"][-1]["status"]) == ("failed", "incomplete")
        assert broken["output_text"]
        assert stream.text.startswith(broken["output_text"])
        replayed = api.replay(stream.id)
        assert_is_told_again(stream.seen, replayed)
        assert {**replayed[-1]["response"], "output_text": broken["output_text"]} == broken
        assert api.replay(stream.id, starting_after=stream.seen[-1]["sequence_number"]) == replayed[-5:]
        assert api.create(previous_response_id=finished["id"])["output_text"]
        refused = api.refused(previous_response_id=stream.id).json()["error"]
    assert (refused["code"], refused["param"]) == ("previous_response_not_usable", "previous_response_id")
    assert "in_progress" not in statuses(again.store_path).values()
