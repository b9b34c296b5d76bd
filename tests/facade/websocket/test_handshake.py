"""Who may open a WebSocket, and with what: nobody gets in who would not over HTTP."""

import asyncio

import aiohttp
import grpc
import pytest

from tests.facade import scripts
from tests.facade.conftest import StartFacade
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService, Refusal
from tests.facade.websocket.conftest import Connect

KEY = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", **KEY}


async def refused(http: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, str | None]:
    async with http.get(f"{url}/v1/responses", headers={**UPGRADE, **headers}) as reply:
        return reply.status, (await error_of(reply))["code"]


async def test_a_bad_key_is_refused_before_the_upgrade(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.key_refusal = Refusal(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY", "Incorrect API key provided.")
    assert await refused(http, url) == (401, "invalid_api_key")


async def test_a_service_that_is_not_ready_is_the_answer(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.key_refusal = Refusal(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "Starting.")
    assert await refused(http, url) == (503, "unavailable")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_origin_is_refused(origin: str, url: str, http: aiohttp.ClientSession) -> None:
    assert await refused(http, url, Origin=origin) == (403, "origin_not_allowed")


async def test_pages_of_allowed_origins_and_of_this_server_connect(
    service: FakeService, start_facade: StartFacade, connect: Connect
) -> None:
    service.script = scripts.text("Hi")
    for allowed, origin in (("http://a.example", "http://a.example"), ("*", "null"), ("", None)):
        url = await start_facade(cors_origins=allowed)
        talk = await connect(url, headers={"Origin": origin or url})
        assert (await talk.ask(input="hi"))[-1]["type"] == "response.completed"


async def test_what_is_no_upgrade_is_told_the_method(url: str, http: aiohttp.ClientSession) -> None:
    for headers in ({}, {"Upgrade": "h2c", "Connection": "Upgrade"}):
        async with http.get(f"{url}/v1/responses", headers=headers) as reply:
            assert (reply.status, reply.headers["Allow"]) == (405, "POST")
            assert "WebSocket" in (await error_of(reply))["message"]
    async with http.head(f"{url}/v1/responses") as reply:
        assert reply.status == 405


@pytest.mark.parametrize("header", ["Sec-WebSocket-Version", "Sec-WebSocket-Key"])
async def test_a_broken_handshake_is_refused_with_its_fault(header: str, url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/v1/responses", headers={**UPGRADE, header: "99"}) as reply:
        assert reply.status == 400
        assert "99" in (await error_of(reply))["message"]


async def test_subprotocols_and_compression_are_not_taken_up(url: str, connect: Connect) -> None:
    talk = await connect(url, protocols=["realtime"], compress=15)
    assert (talk.socket.protocol, talk.socket.compress) == (None, 0)


async def test_the_handshake_has_a_request_id(url: str, http: aiohttp.ClientSession) -> None:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{name}: {value}" for name, value in {"Host": "a", **UPGRADE, "x-request-id": "mine"}.items()]
    writer.write("\r\n".join(["GET /v1/responses HTTP/1.1", *lines, "", ""]).encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"x-request-id: mine\r\n" in head
    writer.close()
