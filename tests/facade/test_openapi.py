"""The OpenAPI document says what the server does: its routes, its keys and the bodies of its replies."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.protobuf.message import Message
from jsonschema import Draft202012Validator

from answerd.v1.compaction_pb2 import CompactResponseRequest
from answerd.v1.input_items_pb2 import ListInputItemsResponse
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest
from answerd.v1.model_pb2 import Model
from common.settings import Settings
from facade import VERSION
from facade.app import make_app
from facade.client import ServiceClient, open_channel
from facade.create_request import ALIASES, COMPACT_HINTS, HTTP_KEYS, KNOWN
from facade.documents import openapi_document
from facade.drain import Drain
from facade.errors import RULES
from facade.patience import Patience
from facade.shapes import INCLUDE_VALUES
from tests.facade import scripts
from tests.facade.fake_service import FakeService

DOCUMENT: dict[str, Any] = openapi_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
METHODS = {"get", "post", "delete"}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    return node


def check(name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(value)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            yield method.upper(), path, item[method]


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert resolve(reference)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_component_is_used() -> None:
    used = set(references(DOCUMENT))
    for kind in ("schemas", "parameters", "headers", "responses"):
        assert {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]} <= used


async def test_the_routes_are_those_of_the_server() -> None:
    channel = open_channel("127.0.0.1:1")
    app = make_app(Settings(), ServiceClient(channel), Drain(), Patience())
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    await channel.close()
    assert served == {(method, path) for method, path, _ in operations()}


def test_every_operation_has_an_id_of_its_own_and_a_summary() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    assert all(operation["summary"].endswith(".") for _, _, operation in operations())


def test_every_parameter_of_a_path_is_declared() -> None:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            given = [*item.get("parameters", []), *item[method].get("parameters", [])]
            named = [resolve(entry["$ref"]) if "$ref" in entry else entry for entry in given]
            in_path = {parameter["name"] for parameter in named if parameter["in"] == "path"}
            assert in_path == ({"id"} if "{id}" in path else set())


def test_the_keys_of_a_request_are_those_that_are_read() -> None:
    assert SCHEMAS["CreateResponse"]["properties"].keys() == KNOWN | ALIASES.keys() | HTTP_KEYS.keys()


@pytest.mark.parametrize(
    ("name", "message", "beside"),
    [("CountInputTokens", CountInputTokensRequest, {}), ("CompactResponse", CompactResponseRequest, COMPACT_HINTS)],
)
def test_the_keys_of_requests_about_input_are_those_that_are_read(
    name: str, message: type[Message], beside: dict[str, Any]
) -> None:
    known = {field.name for field in message.DESCRIPTOR.fields} | beside.keys()
    spelled = {key for key, alias in ALIASES.items() if alias.target[0] in known}
    assert SCHEMAS[name]["properties"].keys() == known | spelled


def test_what_can_be_included_is_listed() -> None:
    assert SCHEMAS["Include"]["enum"] == list(INCLUDE_VALUES)


def test_a_response_requires_all_its_keys() -> None:
    # The text of all messages stands in JSON replies only.
    assert {*SCHEMAS["Response"]["required"], "output_text"} == SCHEMAS["Response"]["properties"].keys()


def test_every_status_of_an_error_is_listed_somewhere() -> None:
    listed = {int(status) for _, _, operation in operations() for status in operation["responses"]}
    assert {rule.status for rule in RULES.values()} - {405} <= listed


def test_there_is_one_version() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == VERSION == project["version"]


async def test_the_replies_are_as_described(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.models = [Model(id="m", created=1, owned_by="o", context_length=9)]
    service.page = ListInputItemsResponse(data=[scripts.message("Hi")], first_id="msg_1", last_id="msg_1")
    for path, schema in (
        ("/v1/responses/resp_1/input_items", "InputItemList"),
        ("/v1/models", "ModelList"),
        ("/v1/models/m", "Model"),
        ("/health", "Health"),
        ("/livez", "Status"),
        ("/readyz", "Status"),
        ("/v1/responses/none", "Error"),
    ):
        async with http.get(f"{url}{path}") as reply:
            check(schema, await reply.json())
    for script, schema in ((scripts.text("Hi"), "Response"), (scripts.failed("model_error", "Hi"), "Error")):
        service.script = script
        async with http.post(f"{url}/v1/responses", json={"input": "hi"}) as reply:
            check(schema, await reply.json())
    async with http.post(f"{url}/v1/responses/input_tokens", json={"input": "hi"}) as reply:
        check("InputTokens", await reply.json())
    service.compacted = scripts.compacted()
    async with http.post(f"{url}/v1/responses/compact", json={"model": "m", "input": "hi"}) as reply:
        check("CompactedResponse", await reply.json())
    service.responses["resp_1"] = scripts.completed([])
    async with http.delete(f"{url}/v1/responses/resp_1") as reply:
        check("DeletedResponse", await reply.json())
