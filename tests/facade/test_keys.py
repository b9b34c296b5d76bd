"""Keys: nobody makes the facade work without a good one, and a good one is not asked about each time."""

import asyncio

import aiohttp
import grpc
import pytest

from facade.client import Metadata
from facade.errors import ApiError
from facade.key_check import REMEMBERED_KEYS, REMEMBERED_SECONDS, KeyCheck
from tests.facade import scripts
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService, Refusal

NO_KEY = Refusal(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY", "Incorrect API key provided.")
LOADING = Refusal(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "Starting.")


@pytest.mark.parametrize("body", [b'{"bogus":1}', b"{", b"\xff", b'{"input":3}', b""])
async def test_without_a_good_key_a_broken_body_is_401(
    body: bytes, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.key_refusal = NO_KEY
    async with http.post(f"{url}/v1/responses", data=body, headers={"Content-Type": "application/json"}) as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (401, "invalid_api_key")
        assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_without_a_good_key_the_body_is_not_waited_for(service: FakeService, url: str) -> None:
    service.key_refusal = NO_KEY
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
    assert b" 401 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_while_the_service_loads_that_is_the_answer(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.key_refusal = LOADING
    async with http.post(f"{url}/v1/responses", json={"input": "hi"}) as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (503, "unavailable")


async def test_a_good_key_is_asked_about_once(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.text("Hi")
    for key in ("a", "a", "b", "a"):
        headers = {"Authorization": f"Bearer {key}"}
        async with http.post(f"{url}/v1/responses", json={"input": "hi"}, headers=headers) as reply:
            assert reply.status == 200
    assert service.key_checks == 2


class Door:
    """A service that takes every key but `bad`, and a clock."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = 1000.0
        self.check = KeyCheck(self._ask, lambda: self.now)

    async def admit(self, key: str) -> None:
        await self.check.admit([("x-request-id", "r"), ("authorization", key)])

    async def _ask(self, metadata: Metadata) -> None:
        key = dict(metadata)["authorization"]
        self.asked.append(key)
        if key == "bad":
            raise ApiError("INVALID_API_KEY", "No.")


async def test_a_good_key_is_forgotten_in_time() -> None:
    door = Door()
    for seconds in (0.0, REMEMBERED_SECONDS - 1, 2.0):
        door.now += seconds
        await door.admit("good")
    assert door.asked == ["good", "good"]


async def test_a_bad_key_is_asked_about_each_time() -> None:
    door = Door()
    for _ in range(2):
        with pytest.raises(ApiError):
            await door.admit("bad")
    assert door.asked == ["bad", "bad"]


async def test_of_very_many_keys_the_oldest_is_forgotten() -> None:
    door = Door()
    for number in range(REMEMBERED_KEYS + 1):
        await door.admit(f"key {number}")
    door.asked.clear()
    await door.admit("key 1")
    await door.admit("key 0")
    assert door.asked == ["key 0"]
