"""The OpenAPI document and the page that shows it, as they are served, and as a browser shows them."""

import asyncio
import re
import shutil
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from facade.documents import openapi_document
from tests.facade.fake_service import FakeService

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# In a container there is no sandbox; the rest keeps the browser from asking anybody but this page.
ALONE = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


class Parts(HTMLParser):
    """The attributes of all elements of a page, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]


async def test_the_document_is_served_as_json_without_a_key(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{url}/api-doc/openapi.json") as reply:
        assert (reply.status, reply.content_type) == (200, "application/json")
        assert await reply.json() == openapi_document()
    assert service.requests == []


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(openapi_document()).validate()


def test_an_invalid_document_would_be_noticed() -> None:
    document = {**openapi_document(), "paths": {"/x": {"get": {"responses": {"200": {}}}}}}
    assert not OpenAPIV31SpecValidator(document).is_valid()


async def test_the_page_needs_nothing_from_elsewhere(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/docs") as reply:
        assert (reply.status, reply.content_type, reply.charset) == (200, "text/html", "utf-8")
        policy = dict(rule.strip().split(" ", 1) for rule in reply.headers["Content-Security-Policy"].split(";"))
        page = await reply.text()
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    addresses = [value for name, value in Parts(page).attributes if name in ("src", "href", "action", "srcset")]
    assert addresses == ["data:,"]
    assert not re.search(r"(?<!:)//[a-z]|https?:|@import|url\(", page)
    # What the script makes of the document's words are texts, never markup.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", page)


def test_every_operation_that_takes_a_body_has_an_example_on_the_page() -> None:
    page = files("facade").joinpath("docs.html").read_text()
    examples = page[page.index("const EXAMPLES") : page.index("// A form that sends")]
    for item in openapi_document()["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and "requestBody" in operation:
                assert f"{operation['operationId']}: {{" in examples


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
async def test_a_browser_shows_every_route_and_every_object(url: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM or "", *ALONE, f"--user-data-dir={tmp_path}", "--virtual-time-budget=8000", "--dump-dom"),
        f"{url}/docs",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    page = (await process.communicate())[0].decode()
    document = openapi_document()
    operations = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    ]
    assert Parts(page).ids == [
        *("search", "contents", "head", "operations", *operations, "schemas"),
        *(f"object-{name}" for name in document["components"]["schemas"]),
    ]
    assert "cannot be shown" not in page.partition("<script>")[0]


async def test_neither_needs_the_service(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    await service.die()
    for path in ("/docs", "/api-doc/openapi.json"):
        async with http.get(f"{url}{path}") as reply:
            assert reply.status == 200
