"""From stored turns to messages, and which responses can be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from answerd.v1.input_pb2 import ItemList
from answerd.v1.item_pb2 import Item
from answerd.v1.response_pb2 import Response, ResponseStatus
from service.conversation import chat_messages
from service.errors import Reason, ServiceError
from service.history import load_history
from service.store.errors import RecordDamaged
from service.stored import StoredTurn


@dataclass(frozen=True)
class Turn:
    """What load_history needs of a stored record."""

    request: bytes
    response: bytes
    id: str = "resp_1"


class Chains:
    """One conversation, known by the id of its last response to one owner."""

    def __init__(self, owner: str, id: str, turns: Sequence[StoredTurn]) -> None:
        self._known, self._turns = (owner, id), turns

    async def chain(self, owner: str, id: str) -> Sequence[StoredTurn] | None:
        return self._turns if (owner, id) == self._known else None


def say(role: str, *texts: str) -> dict[str, Any]:
    kind = "outputText" if role == "ASSISTANT" else "inputText"
    return {"message": {"role": f"ROLE_{role}", "content": [{kind: {"text": text}} for text in texts]}}


def item_list(*items: dict[str, Any]) -> ItemList:
    return ParseDict({"items": list(items)}, ItemList())


def turn(question: str, answer: str, status: str = "COMPLETED") -> Turn:
    fields = {"id": "resp_1", "status": f"RESPONSE_STATUS_{status}"}
    response = ParseDict({**fields, "output": [say("ASSISTANT", answer)]}, Response())
    return Turn(item_list(say("USER", question)).SerializeToString(), response.SerializeToString())


def texts(items: Sequence[Item]) -> list[str]:
    return [message["content"] for message in chat_messages("", items, native_calls=False)]


async def test_history_is_the_whole_chain_in_order() -> None:
    chains = Chains("ann", "resp_2", [turn("one?", "One."), turn("two?", "Two.", "INCOMPLETE")])
    assert texts(await load_history(chains.chain, "ann", "resp_2")) == ["one?", "One.", "two?", "Two."]


@pytest.mark.parametrize(("owner", "id"), [("ann", "resp_9"), ("bob", "resp_1"), ("ann", "")])
async def test_an_unknown_or_foreign_parent_is_not_found(owner: str, id: str) -> None:
    chains = Chains("ann", "resp_1", [turn("one?", "One.")])
    with pytest.raises(ServiceError) as caught:
        await load_history(chains.chain, owner, id)
    assert caught.value.reason is Reason.PREVIOUS_RESPONSE_NOT_FOUND
    assert caught.value.message == f"Previous response with ID '{id}' not found."


@pytest.mark.parametrize("status", ResponseStatus.keys()[1:])
async def test_only_completed_and_incomplete_responses_can_be_continued(status: str) -> None:
    name = status.removeprefix("RESPONSE_STATUS_")
    chains = Chains("ann", "resp_1", [turn("one?", "One.", name)])
    if name in ("COMPLETED", "INCOMPLETE"):
        assert len(await load_history(chains.chain, "ann", "resp_1")) == 2
        return
    with pytest.raises(ServiceError) as caught:
        await load_history(chains.chain, "ann", "resp_1")
    assert caught.value.reason is Reason.PREVIOUS_RESPONSE_NOT_USABLE
    assert caught.value.details == {"status": name.lower()}


async def test_the_state_of_earlier_turns_does_not_matter() -> None:
    """They were usable when they were continued; one may be a tombstone now."""
    chains = Chains("ann", "resp_2", [turn("one?", "One.", "INCOMPLETE"), turn("two?", "Two.")])
    assert len(await load_history(chains.chain, "ann", "resp_2")) == 4


def test_the_parts_of_a_message_are_joined_as_they_are() -> None:
    refused = {"message": {"role": "ROLE_ASSISTANT", "content": [{"refusal": {"refusal": "No."}}]}}
    assert texts(item_list(say("USER", "a", " b", "c"), refused, say("USER")).items) == ["a bc", "No.", ""]


@pytest.mark.parametrize(
    "damaged",
    [
        Turn(b"\xff", turn("one?", "One.").response),
        Turn(turn("one?", "One.").request, b"\xff"),
        Turn(turn("one?", "One.").request, b""),
    ],
)
async def test_a_turn_that_cannot_be_read_is_named(damaged: Turn) -> None:
    chains = Chains("ann", "resp_2", [damaged, replace(turn("two?", "Two."), id="resp_2")])
    with pytest.raises(RecordDamaged, match="resp_1") as caught:
        await load_history(chains.chain, "ann", "resp_2")
    assert caught.value.id == "resp_1"
