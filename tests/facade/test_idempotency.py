"""The header Idempotency-Key: passed on as it is, or refused by name."""

import aiohttp
import pytest
from multidict import CIMultiDict

from tests.facade import scripts
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService


async def test_a_key_is_passed_on(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.text("Hi")
    for key in ("order 17", "~" * 256):
        async with http.post(f"{url}/v1/responses", json={"input": "hi"}, headers={"Idempotency-Key": key}) as reply:
            assert reply.status == 200
        assert service.metadata[-1]["idempotency-key"] == key


@pytest.mark.parametrize("keys", [[""], ["x" * 257], ["clé"], ["once", "twice"]])
async def test_a_key_of_another_form_is_refused(
    keys: list[str], service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    headers = CIMultiDict([("Idempotency-Key", key) for key in keys])
    async with http.post(f"{url}/v1/responses", json={"input": "hi"}, headers=headers) as reply:
        error = await error_of(reply)
        assert (reply.status, error["code"], error["param"]) == (400, "invalid_value", "idempotency-key")
    assert not service.requests
