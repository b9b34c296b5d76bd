"""Items that stand for stored ones, over a real connection: which are found, and what is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListOrder
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest
from answerd.v1.item_pb2 import Item, ItemReference
from answerd.v1.response_pb2 import Response
from answerd.v1.stored_response_pb2 import DeleteResponseRequest
from tests.service.conftest import ANSWERS
from tests.service.request_cases import items, message, request_of
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, refusal, serving, text_of

ANN, BOB = ((("authorization", f"Bearer {name}"),) for name in ("ann", "bob"))


def reference(id: str) -> Item:
    return Item(item_reference=ItemReference(id=id))


def asking(*given: Item | str, **fields: Any) -> CreateResponseRequest:
    """A request whose input is references, by id, and items."""
    listed = [reference(item) if isinstance(item, str) else item for item in given]
    return CreateResponseRequest(input=Input(items=ItemList(items=listed)), **fields)


def says(text: str) -> Item:
    return request_of(items(message("ROLE_USER", {"inputText": {"text": text}}))).input.items.items[0]


async def answer(served: Served, request: CreateResponseRequest) -> Response:
    return final([event async for event in served.stub.CreateResponse(request, timeout=WAIT)])


async def input_of(served: Served, response: Response) -> list[Item]:
    page = await served.stub.ListInputItems(
        ListInputItemsRequest(id=response.id, order=ListOrder.LIST_ORDER_ASC), timeout=WAIT
    )
    return list(page.data)


async def test_items_of_input_and_output_are_put_in_the_place_of_their_references(served: Served) -> None:
    first = await served.answer("hi")
    [question], [said] = await input_of(served, first), first.output
    second = await answer(served, asking(question.message.id, said.message.id, says("hi hi")))
    assert text_of(second) == "hi again"
    assert "user\nhi" in served.script.prompts[-1]
    assert "assistant\nhello" in served.script.prompts[-1]
    stored = await input_of(served, second)
    assert stored[:2] == [question, said]


async def test_a_referenced_item_stays_what_it_was_when_its_response_is_deleted(served: Served) -> None:
    first = await served.answer("hi")
    second = await answer(served, asking(first.output[0].message.id, says("hi hi")))
    await served.stub.DeleteResponse(DeleteResponseRequest(id=first.id), timeout=WAIT)
    third = await served.answer("hi", previous_response_id=second.id)
    assert "assistant\nhello" in served.script.prompts[-1]
    assert text_of(third) == "hello"
    # The copy is an item of the second response now, and is found there.
    assert text_of(await answer(served, asking(first.output[0].message.id, says("hi")))) == "hello"


async def test_an_item_of_a_deleted_response_is_not_found(served: Served) -> None:
    parent = await served.answer("hi")
    child = await served.answer("hi hi", previous_response_id=parent.id)
    await served.stub.DeleteResponse(DeleteResponseRequest(id=parent.id), timeout=WAIT)
    fault = await refusal(served.stub.CreateResponse(asking(parent.output[0].message.id), timeout=WAIT))
    assert (fault.code, fault.reason) == (grpc.StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
    assert (await answer(served, asking(child.output[0].message.id, says("hi")))).id


async def test_an_unstored_or_unknown_item_is_not_found_and_named(served: Served) -> None:
    unstored = await served.answer("hi", store=False)
    for id in (unstored.output[0].message.id, "msg_9"):
        fault = await refusal(served.stub.CreateResponse(asking(says("hi"), id), timeout=WAIT))
        assert (fault.reason, fault.message) == ("ITEM_NOT_FOUND", f"Item with ID '{id}' not found.")


async def test_a_foreign_item_is_an_unknown_one(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        response = await served.answer("hi", caller=ANN)
        request = asking(response.output[0].message.id, says("hi hi"))
        fault = await refusal(served.stub.CreateResponse(request, metadata=BOB, timeout=WAIT))
        assert fault.reason == "ITEM_NOT_FOUND"
        events = [event async for event in served.stub.CreateResponse(request, metadata=ANN, timeout=WAIT)]
        assert text_of(final(events)) == "hi again"


async def test_the_newest_item_of_an_id_counts_and_a_repetition_gets_an_id_of_its_own(served: Served) -> None:
    for text in ("older", "newer"):
        own = says(text)
        own.message.id = "msg_mine"
        await answer(served, asking(own))
    response = await answer(served, asking("msg_mine", "msg_mine"))
    first, second = await input_of(served, response)
    assert first.message.content == second.message.content
    assert first.message.content[0].input_text.text == "newer"
    assert (first.message.id, first.message.id == second.message.id) == ("msg_mine", False)


async def test_references_are_counted_too(served: Served) -> None:
    first = await served.answer("long")
    request = asking(first.output[0].message.id, says("hi"))
    counted = await served.stub.CountInputTokens(CountInputTokensRequest(input=request.input), timeout=WAIT)
    assert counted.input_tokens == (await answer(served, request)).usage.input_tokens > 200


async def test_items_of_a_response_that_runs_are_those_of_its_input(served: Served) -> None:
    served.gate.hold_after(1)
    own = says("long")
    own.message.id = "msg_mine"
    running = served.stub.CreateResponse(asking(own), timeout=WAIT)
    await anext(aiter(running))
    counted = CountInputTokensRequest(input=asking("msg_mine").input)
    assert (await served.stub.CountInputTokens(counted, timeout=WAIT)).input_tokens > 0
    running.cancel()


@pytest.mark.parametrize("count", [150])
async def test_many_references_into_one_response_are_found(served: Served, count: int) -> None:
    listed = [says("a") for _ in range(count)]
    for number, item in enumerate(listed):
        item.message.id = f"msg_{number}"
    await answer(served, asking(*listed, truncation=1))
    response = await answer(served, asking(*(f"msg_{number}" for number in range(count)), truncation=1))
    assert len(await all_items(served, response)) == count


async def all_items(served: Served, response: Response) -> list[Item]:
    request = ListInputItemsRequest(id=response.id, limit=100)
    found: list[Item] = []
    while True:
        page = await served.stub.ListInputItems(request, timeout=WAIT)
        found += page.data
        request.after = page.last_id
        if not page.has_more:
            return found
