"""What is stored of an input, and which page of it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListInputItemsResponse
from answerd.v1.input_pb2 import ItemList
from answerd.v1.item_pb2 import Item
from service.errors import InvalidRequest, Reason
from service.ids import new_item_id
from service.input_items import given_items, input_page, normalise
from service.validate import check_page
from tests.service.test_history import item_list, say

ITEM_COMPLETED = "ITEM_STATUS_COMPLETED"
CALL = {"functionCall": {"callId": "call_1", "name": "f", "arguments": "{}"}}
OUTPUT = {"functionCallOutput": {"callId": "call_1", "output": {"text": "7"}}}


def request_of(**input: Any) -> CreateResponseRequest:
    return ParseDict({"input": input}, CreateResponseRequest())


def normalised(request: CreateResponseRequest, new_id: Callable[[str], str] = new_item_id) -> ItemList:
    items = given_items(request)
    normalise(items, new_id)
    return items


def numbered() -> Callable[[str], str]:
    numbers = Counter[str]()

    def new_id(kind: str) -> str:
        numbers[kind] += 1
        return f"{kind}_{numbers[kind]}"

    return new_id


def as_dicts(items: ItemList) -> list[Any]:
    return [MessageToDict(item.message) for item in items.items]


def ids_of(items: Sequence[Item]) -> list[str]:
    return [getattr(item, item.WhichOneof("type") or "").id for item in items]


def page(count: int, **asked: Any) -> ListInputItemsResponse:
    """Of an input whose items have the ids 0, 1, 2 and so on."""
    items = [{"message": {**say("USER", "a")["message"], "id": str(number)}} for number in range(count)]
    return input_page("resp_1", item_list(*items).items, ListInputItemsRequest(id="resp_1", **asked))


def test_a_plain_text_is_stored_as_one_user_message() -> None:
    assert as_dicts(normalised(request_of(text="Hello"), numbered())) == [
        {
            "id": "message_1",
            "status": ITEM_COMPLETED,
            "role": "ROLE_USER",
            "content": [{"inputText": {"text": "Hello"}}],
        }
    ]


def test_items_keep_their_ids_and_get_those_they_lack() -> None:
    given = [say("USER", "a"), {"message": {**say("ASSISTANT", "b")["message"], "id": "msg_x"}}, CALL, OUTPUT]
    stored = normalised(request_of(items={"items": given}), numbered())
    assert ids_of(stored.items) == ["message_1", "msg_x", "function_call_1", "function_call_output_1"]


def test_an_id_that_comes_twice_stays_with_the_first_item() -> None:
    twice = {"message": {**say("USER", "a")["message"], "id": "msg_x"}}
    assert ids_of(normalised(request_of(items={"items": [twice, twice]}), numbered()).items) == [
        "msg_x",
        "message_1",
    ]


def test_stored_messages_have_a_status_and_nothing_that_only_the_answer_had() -> None:
    cut_off = {**say("ASSISTANT", "b")["message"], "status": "ITEM_STATUS_INCOMPLETE"}
    cut_off["content"] = [
        {"outputText": {"text": "b", "logprobs": [{"token": "b"}], "annotations": [{"urlCitation": {}}]}}
    ]
    going_on = {**say("ASSISTANT", "c")["message"], "status": "ITEM_STATUS_IN_PROGRESS"}
    stored = as_dicts(normalised(request_of(items={"items": [{"message": cut_off}, {"message": going_on}]})))
    assert [message["status"] for message in stored] == ["ITEM_STATUS_INCOMPLETE", ITEM_COMPLETED]
    assert stored[0]["content"] == [{"outputText": {"text": "b"}}]


def test_made_up_ids_differ_tell_the_type_and_leave_the_request_as_it_was() -> None:
    request = request_of(items={"items": [say("USER", "a"), say("USER", "b"), CALL, OUTPUT, {"reasoning": {}}]})
    before = request.SerializeToString()
    ids = ids_of(normalised(request).items)
    assert len(set(ids)) == 5
    assert [id.partition("_")[0] for id in ids] == ["msg", "msg", "fc", "fco", "rs"]
    assert request.SerializeToString() == before


@pytest.mark.parametrize(
    ("asked", "ids", "more"),
    [
        ({}, [str(number) for number in range(24, 4, -1)], True),
        ({"limit": 2}, ["24", "23"], True),
        ({"limit": 2, "order": "LIST_ORDER_ASC"}, ["0", "1"], True),
        ({"limit": 2, "order": "LIST_ORDER_ASC", "after": "1"}, ["2", "3"], True),
        ({"limit": 2, "after": "1"}, ["0"], False),
        ({"limit": 25}, [str(number) for number in range(24, -1, -1)], False),
        ({"after": "0"}, [], False),
    ],
)
def test_a_page_has_the_items_that_were_asked_for(asked: dict[str, Any], ids: list[str], more: bool) -> None:
    found = page(25, **asked)
    assert (ids_of(found.data), found.has_more) == (ids, more)
    ends = (found.first_id, found.last_id) if found.HasField("first_id") else None
    assert ends == ((ids[0], ids[-1]) if ids else None)


def test_a_page_after_an_unknown_item_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        page(3, after="9")
    assert (caught.value.param, caught.value.reason) == ("after", Reason.INVALID_VALUE)


def test_items_that_were_stored_without_ids_have_the_same_ones_at_each_call() -> None:
    items = item_list(say("USER", "a"), say("USER", "a"), CALL).items
    first, second = (input_page(id, items, ListInputItemsRequest()) for id in ("resp_1", "resp_1"))
    assert first == second
    assert [id.partition("_")[0] for id in ids_of(first.data)] == ["fc", "msg", "msg"]
    assert len({*ids_of(first.data), *ids_of(input_page("resp_2", items, ListInputItemsRequest()).data)}) == 6


@pytest.mark.parametrize(
    ("asked", "path"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": 9}, "order"), ({"include": [3]}, "include[0]")],
)
def test_a_page_that_cannot_be_is_refused_by_name(asked: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_page(ListInputItemsRequest(id="resp_1", **asked))
    assert caught.value.param == path
