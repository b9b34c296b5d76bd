"""Why a hub gives nothing is said in one clause, with what to do about it; a token goes to the hub alone."""

from __future__ import annotations

import pytest

from service.models.hub.errors import HubError
from tests.service.models.hub.conftest import MODEL, Machine
from tests.support.loopback_hub import LoopbackHub


def reason(machine: Machine, source: str = "hf:owner/gguf") -> str:
    with pytest.raises(HubError) as caught:
        machine.fetch(source)
    return str(caught.value)


def test_a_repository_that_is_not_there_or_private_is_named_with_the_token(machine: Machine) -> None:
    assert reason(machine, "hf:owner/none") == (
        f"{machine.url} has no such repository or file, or it is private: then set HF_TOKEN to a token that may read it"
    )


def test_a_gated_repository_asks_for_its_conditions_and_a_token(hub: LoopbackHub, machine: Machine) -> None:
    hub.token = "secret"
    assert reason(machine) == (
        f"it is gated: accept its conditions at {machine.url}/owner/gguf, and set HF_TOKEN to a token of that account"
    )


def test_a_token_opens_a_gated_repository_and_is_not_shown_to_the_cdn(
    hub: LoopbackHub, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "secret"
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL
    keys = {"cdn" if "/cdn/" in asked.path else "hub": asked.key for asked in hub.asked}
    assert keys == {"hub": "Bearer secret", "cdn": None}


@pytest.mark.parametrize(
    ("part", "status", "clause"),
    [
        ("/api/", 401, "the hub refuses to give owner/gguf (401): set HF_TOKEN to a token that may read it"),
        ("/resolve/", 403, "the hub refuses to give owner/gguf (403): set HF_TOKEN to a token that may read it"),
        ("/api/", 500, "the hub answered 500 to a request about owner/gguf: try again later"),
        ("/cdn/", 503, "the hub answered 503 to a request about owner/gguf: try again later"),
    ],
)
def test_what_the_hub_refuses_is_said(hub: LoopbackHub, machine: Machine, part: str, status: int, clause: str) -> None:
    hub.statuses[part] = (status, "")
    assert reason(machine) == clause


def test_a_busy_hub_is_asked_again(hub: LoopbackHub, machine: Machine) -> None:
    hub.statuses["/cdn/"] = (429, "")
    assert "answered 429" in reason(machine)
    assert len(hub.gets("a/model.gguf")) == 5


def test_a_hub_that_does_not_answer_is_named(machine: Machine, hub: LoopbackHub) -> None:
    hub.close()
    assert reason(machine).startswith(f"the hub at {machine.url} cannot be reached (")


def test_something_else_than_a_hub_is_told_from_one(machine: Machine, hub: LoopbackHub) -> None:
    hub.statuses["/api/"] = (200, "")
    assert reason(machine) == f"what answers at {machine.url} (HF_ENDPOINT) does not speak like the hub"
