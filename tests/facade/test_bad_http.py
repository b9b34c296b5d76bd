"""What is hardly HTTP, sent over a bare socket: an envelope all the same, and the server goes on."""

import asyncio
import json

import aiohttp
import pytest

from facade.patience import Patience
from tests.facade import scripts
from tests.facade.conftest import StartFacade
from tests.facade.fake_service import FakeService

BAD: dict[str, tuple[bytes, int]] = {
    "noise": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "a version nobody has": (b"GET / HTTP/x\r\n\r\n", 400),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400),
    "a length that is no number": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a line that is too long": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a header that is too long": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 400),
    "an expectation nobody has": (b"GET /nowhere HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", 417),
}


async def answer(url: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
    status, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize("name", BAD)
async def test_it_gets_an_envelope_with_a_request_id(name: str, url: str, http: aiohttp.ClientSession) -> None:
    request, expected = BAD[name]
    status, headers, body = await answer(url, request)
    error = json.loads(body)["error"]
    assert (status, error["type"]) == (expected, "invalid_request_error")
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert "Traceback" not in error["message"]
    assert "\n" not in error["message"]
    async with http.get(f"{url}/livez") as reply:
        assert reply.status == 200


async def test_a_client_of_http_1_0_reads_a_stream_to_its_end(service: FakeService, url: str) -> None:
    service.script = scripts.text("Hi")
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"input":"hi","stream":true}'
    writer.write(b"POST /v1/responses HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    reply = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert b"chunked" not in reply
    assert reply.endswith(b"data: [DONE]\n\n")


async def test_a_connection_without_a_request_is_closed(start_facade: StartFacade) -> None:
    url = await start_facade(Patience(head=0.1))
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_request_outlives_the_time_for_its_head(service: FakeService, start_facade: StartFacade) -> None:
    url = await start_facade(Patience(head=0.1))
    service.script = [*scripts.text("Hi")[:3], 0.3, *scripts.text("Hi")[3:]]
    request = b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n" + b'{"input":"hi"}'
    status, _, _ = await answer(url, request)
    assert status == 200


async def test_a_body_that_does_not_come_is_408_and_the_end_of_the_connection(start_facade: StartFacade) -> None:
    url = await start_facade(Patience(body=0.1))
    status, headers, body = await answer(url, b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    assert (status, headers["connection"]) == (408, "close")
    assert json.loads(body)["error"]["code"] == "request_timeout"


async def test_a_body_that_ends_early_harms_nobody(url: str, http: aiohttp.ClientSession) -> None:
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    writer.close()
    async with http.get(f"{url}/livez") as reply:
        assert reply.status == 200
