"""Output that nobody can read: a terminal that was closed, `make run | tee` after Ctrl-C, a log on a full disk."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.e2e.api import STORY, Api
from tests.e2e.conftest import Start
from tests.e2e.stored import statuses


def without_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def on_a_full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("unwritable", [without_reader, on_a_full_disk])
def test_it_starts_serves_and_drains_although_nothing_it_prints_is_read(
    start: Start, unwritable: Callable[[], int]
) -> None:
    output = unwritable()
    server = start(output)
    os.close(output)
    with Api(server.url) as api:
        whole = api.create()
        assert api.refused(temperature=9).status_code == 400
        with api.stream(input=STORY, max_output_tokens=40) as stream:
            stream.read_text(1)
            server.terminate()
            end = stream.read_to_end().end
    assert (end["status"], end["usage"]["output_tokens"]) == ("incomplete", 40)
    # Both children ended well: the launcher passes on the status of one that did not.
    assert server.wait() == 0
    assert statuses(server.store_path) == {whole["id"]: whole["status"], stream.id: "incomplete"}
