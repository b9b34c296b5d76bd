"""A response that runs beside the one that a test harms."""

from __future__ import annotations

from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.stored_response_pb2 import GetResponseRequest
from tests.service.conftest import LONG
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, read_until, text_of


class Neighbour:
    """A long response that has begun, and has to end as if it were alone."""

    def __init__(self, served: Served) -> None:
        self._call = served.create("long")
        self._served = served
        self._checked = False

    async def begin(self) -> None:
        await read_until(self._call, "output_text_delta")

    async def check(self) -> None:
        if self._checked:
            return
        self._checked = True
        response = final([event async for event in self._call])
        assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
        assert text_of(response) == LONG
        assert await stored(self._served, response.id) == response


async def stored(served: Served, id: str) -> Response:
    response: Response = await served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    return response
