"""ListInputItems, over a real connection: whose items, while a response runs and after its parent is gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListOrder
from answerd.v1.item_pb2 import Item
from answerd.v1.stored_response_pb2 import DeleteResponseRequest
from tests.service.conftest import ANSWERS
from tests.service.scripted_model import WAIT
from tests.service.served import Served, read_until, refusal, serving


def texts(items: Sequence[Item]) -> list[str]:
    return [item.message.content[0].input_text.text for item in items]


async def test_the_items_are_those_of_the_response_and_not_of_its_history(served: Served) -> None:
    parent = await served.answer("hi")
    child = await served.answer("hi hi", previous_response_id=parent.id)
    page = await served.stub.ListInputItems(ListInputItemsRequest(id=child.id), timeout=WAIT)
    assert texts(page.data) == ["hi hi"]
    assert page.first_id == page.last_id == page.data[0].message.id
    assert page.first_id.startswith("msg_")
    assert not page.has_more


async def test_pages_lead_to_each_other(served: Served) -> None:
    response = await served.answer("hi")
    request = ListInputItemsRequest(id=response.id, limit=1, order=ListOrder.LIST_ORDER_ASC)
    first = await served.stub.ListInputItems(request, timeout=WAIT)
    request.after = first.last_id
    assert not (await served.stub.ListInputItems(request, timeout=WAIT)).data
    request.after = "msg_9"
    fault = await refusal(served.stub.ListInputItems(request, timeout=WAIT))
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")


async def test_a_response_that_runs_has_its_input(served: Served) -> None:
    served.gate.hold_after(1)
    call = served.create("long")
    [created] = await read_until(call, "created")
    running = await served.stub.ListInputItems(ListInputItemsRequest(id=created.created.response.id), timeout=WAIT)
    assert texts(running.data) == ["long"]
    call.cancel()


async def test_deleting_a_parent_leaves_the_input_of_its_children(served: Served) -> None:
    parent = await served.answer("hi")
    child = await served.answer("hi hi", previous_response_id=parent.id)
    await served.stub.DeleteResponse(DeleteResponseRequest(id=parent.id), timeout=WAIT)
    page = await served.stub.ListInputItems(ListInputItemsRequest(id=child.id), timeout=WAIT)
    assert texts(page.data) == ["hi hi"]
    fault = await refusal(served.stub.ListInputItems(ListInputItemsRequest(id=parent.id), timeout=WAIT))
    assert (fault.code, fault.reason) == (grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND")


async def test_a_foreign_response_is_an_unknown_one(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        response = await served.answer("hi", caller=(("authorization", "Bearer ann"),))
        request = ListInputItemsRequest(id=response.id)
        bob = served.stub.ListInputItems(request, metadata=(("authorization", "Bearer bob"),), timeout=WAIT)
        fault = await refusal(bob)
        assert (fault.code, fault.reason) == (grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND")
