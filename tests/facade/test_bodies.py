"""Bodies of POST /v1/responses on their way in: types, sizes, encodings."""

import gzip
import json
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from facade.errors import NOT_JSON
from tests.facade import scripts
from tests.facade.conftest import StartFacade
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "text/json"]
)
async def test_another_content_type_is_refused(content_type: str, url: str, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{url}/v1/responses", data=b"{}", headers={"Content-Type": content_type}) as reply:
        error = await error_of(reply)
        assert (reply.status, error["code"]) == (415, "unsupported_media_type")
        assert "Content-Type: application/json" in error["message"]


async def test_another_charset_is_refused(url: str, http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json; charset=latin-1"}
    async with http.post(f"{url}/v1/responses", data=b"{}", headers=headers) as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8", None])
async def test_json_is_taken_also_where_nobody_says_so(
    content_type: str | None, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.text("Hi")
    headers = {} if content_type is None else {"Content-Type": content_type}
    unsaid = ["Content-Type"] if content_type is None else []
    async with http.post(
        f"{url}/v1/responses", data=b'{"input":"hi"}', headers=headers, skip_auto_headers=unsaid
    ) as reply:
        assert reply.status == 200


async def test_a_web_page_has_to_say_what_it_sends(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.text("Hi")
    origin = {"Origin": "https://a.example"}
    async with http.post(
        f"{url}/v1/responses", data=b'{"input":"hi"}', headers=origin, skip_auto_headers=["Content-Type"]
    ) as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (415, "unsupported_media_type")
    async with http.post(f"{url}/v1/responses", json={"input": "hi"}, headers=origin) as reply:
        assert reply.status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"input": "\xff"}', b'{"input": "\\ud800"}', b'{"seed": NaN}'])
async def test_what_is_no_json_is_refused_with_one_sentence(body: bytes, url: str, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{url}/v1/responses", data=body, headers={"Content-Type": "application/json"}) as reply:
        error = await error_of(reply)
        assert reply.status == 400
        assert error == {"message": NOT_JSON, "type": "invalid_request_error", "param": None, "code": None}


async def test_a_wrong_type_names_its_place(url: str, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{url}/v1/responses", json={"input": [{"role": "user", "content": 3}]}) as reply:
        error = await error_of(reply)
        assert (reply.status, error["code"], error["param"]) == (400, "invalid_type", "input[0].content")


def body_of(size: int) -> bytes:
    return b'{"input":"' + b"x" * (size - 12) + b'"}'


async def test_the_largest_body_is_taken_and_one_byte_more_is_not(
    service: FakeService, start_facade: StartFacade, http: aiohttp.ClientSession
) -> None:
    url = await start_facade(max_body_bytes=2048)
    service.script = scripts.text("Hi")
    headers = {"Content-Type": "application/json"}
    async with http.post(f"{url}/v1/responses", data=body_of(2048), headers=headers) as reply:
        assert reply.status == 200
    async with http.post(f"{url}/v1/responses", data=body_of(2049), headers=headers) as reply:
        error = await error_of(reply)
        assert (reply.status, error["code"]) == (413, "request_too_large")
        assert "2048 bytes" in error["message"]


async def chunks(body: bytes) -> Any:
    for start in range(0, len(body), 500):
        yield body[start : start + 500]


async def test_a_body_of_unsaid_length_has_the_same_limit(
    start_facade: StartFacade, http: aiohttp.ClientSession
) -> None:
    url = await start_facade(max_body_bytes=2048)
    headers = {"Content-Type": "application/json"}
    async with http.post(f"{url}/v1/responses", data=chunks(body_of(2049)), headers=headers) as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (413, "request_too_large")


async def test_a_compressed_body_counts_by_what_it_holds(
    service: FakeService, start_facade: StartFacade, http: aiohttp.ClientSession
) -> None:
    url = await start_facade(max_body_bytes=2048)
    service.script = scripts.text("Hi")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for size, status in ((2000, 200), (1_000_000, 413)):
        body = gzip.compress(body_of(size))
        async with http.post(f"{url}/v1/responses", data=body, headers=headers) as reply:
            assert reply.status == status


async def test_a_body_that_only_claims_to_be_compressed_is_refused(url: str, http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with http.post(f"{url}/v1/responses", data=b'{"input":"hi"}', headers=headers) as reply:
        assert reply.status == 400
        await error_of(reply)


async def test_a_large_body_is_taken_whole(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.script = scripts.text("Hi")
    text = "äöü" * 300_000
    body = BytesIO(json.dumps({"input": text}, ensure_ascii=False).encode())
    async with http.post(f"{url}/v1/responses", data=body, headers={"Content-Type": "application/json"}) as reply:
        assert reply.status == 200
    assert service.requests[0].input.text == text
