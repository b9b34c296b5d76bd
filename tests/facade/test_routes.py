"""The routes around the answers: stored responses, models, health, CORS, ids, and what is no route."""

import asyncio

import aiohttp
import pytest

from answerd.v1.model_pb2 import Model
from facade import VERSION
from tests.facade import scripts
from tests.facade.conftest import StartFacade
from tests.facade.envelope import error_of
from tests.facade.fake_service import FakeService
from tests.support.openresponses import validate_response


async def test_a_stored_response_is_found(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.responses["resp_1"] = scripts.completed([scripts.message("Hello")])
    async with http.get(f"{url}/v1/responses/resp_1") as reply:
        body = await reply.json()
        assert (reply.status, body["output_text"]) == (200, "Hello")
        validate_response(body)


@pytest.mark.parametrize("query", ["include=reasoning.encrypted_content", "include[]=reasoning.encrypted_content"])
async def test_what_to_include_is_passed_on(
    query: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.responses["resp_1"] = scripts.completed([])
    async with http.get(f"{url}/v1/responses/resp_1?{query}") as reply:
        assert reply.status == 200
    assert list(service.requests[0].include) == [2]


async def test_an_unknown_include_is_refused(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/v1/responses/resp_1?include=all") as reply:
        assert ((await error_of(reply))["param"], reply.status) == ("include[0]", 400)


async def test_a_deleted_response_is_gone(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.responses["resp_1"] = scripts.completed([])
    async with http.delete(f"{url}/v1/responses/resp_1") as reply:
        assert (reply.status, await reply.json()) == (
            200,
            {"id": "resp_1", "object": "response.deleted", "deleted": True},
        )
    async with http.get(f"{url}/v1/responses/resp_1") as reply:
        error = await error_of(reply)
        assert (reply.status, error["code"]) == (404, None)
        assert error["message"] == "Response with ID 'resp_1' not found."


@pytest.mark.parametrize("path", ["%ED%A0%80", "%ff", "a%2Fb", "a%00b", "%F0%9F%8E%88", "." * 3, "x" * 4000])
async def test_a_strange_id_is_the_id_of_nothing(path: str, url: str, http: aiohttp.ClientSession) -> None:
    from yarl import URL

    async with http.get(URL(f"{url}/v1/responses/{path}", encoded=True)) as reply:
        assert reply.status == 404
        await error_of(reply)


async def test_the_models_are_listed(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    service.models = [Model(id="a/b", created=1, owned_by="o", context_length=9)]
    model = {"id": "a/b", "object": "model", "created": 1, "owned_by": "o", "context_length": 9, "loaded": False}
    async with http.get(f"{url}/v1/models") as reply:
        assert await reply.json() == {"object": "list", "data": [model]}
    async with http.get(f"{url}/v1/models/a/b") as reply:
        assert await reply.json() == model
    async with http.get(f"{url}/v1/models/c") as reply:
        assert (reply.status, (await error_of(reply))["code"]) == (404, "model_not_found")


async def test_health_tells_of_the_service(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/health") as reply:
        assert (reply.status, await reply.json()) == (
            200,
            {"status": "ok", "service": "SERVING", "version": VERSION},
        )
    await service.set_serving(False)
    async with http.get(f"{url}/health") as reply:
        assert (reply.status, (await reply.json())["service"]) == (503, "NOT_SERVING")
    await service.die()
    async with http.get(f"{url}/health") as reply:
        assert (reply.status, (await reply.json())["service"]) == (503, "UNREACHABLE")


async def test_ready_means_that_the_service_is(service: FakeService, url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/readyz") as reply:
        assert reply.status == 200
    await service.set_serving(False)
    async with http.get(f"{url}/readyz") as reply:
        assert reply.status == 503
        assert reply.headers["Retry-After"]
    async with http.get(f"{url}/livez") as reply:
        assert reply.status == 200


async def test_a_facade_that_starts_first_finds_the_service_when_it_comes(
    service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    await service.die()
    async with http.get(f"{url}/readyz") as reply:
        assert reply.status == 503
    async with FakeService(service.port), asyncio.timeout(10):
        while True:
            async with http.get(f"{url}/readyz") as reply:
                if reply.status == 200:
                    break


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/responses", 405, "POST"),
        ("PUT", "/v1/responses/resp_1", 405, "DELETE, GET, HEAD"),
        ("POST", "/v1/models", 405, "GET, HEAD"),
        ("DELETE", "/health", 405, "GET, HEAD"),
        ("GET", "/", 404, None),
        ("GET", "/responses", 404, None),
        ("POST", "/v1/responses/", 404, None),
        ("POST", "/v1/responses/resp_1/cancel", 404, None),
        ("OPTIONS", "/v1/responses", 405, "GET, POST"),
    ],
)
async def test_what_is_no_route_is_an_envelope(
    method: str, path: str, status: int, allow: str | None, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.request(method, f"{url}{path}") as reply:
        error = await error_of(reply)
        assert (reply.status, reply.headers.get("Allow")) == (status, allow)
        assert (error["type"], error["code"]) == ("invalid_request_error", None)


@pytest.mark.parametrize("path", ["/", "/v1/embeddings"])
async def test_who_asks_for_no_route_is_shown_where_they_stand(
    path: str, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{url}{path}") as reply:
        assert "/docs" in (await error_of(reply))["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_older_routes_point_to_the_new_one(path: str, url: str, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{url}{path}", json={}) as reply:
        assert "Use POST /v1/responses." in (await error_of(reply))["message"]


@pytest.mark.parametrize("given", ["my-id.1", "a/b:c+d=", "x" * 128])
async def test_a_sane_request_id_is_kept_and_passed_on(
    given: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.script = scripts.text("Hi")
    headers = {
        "x-request-id": given,
        "Authorization": "Bearer key",
        "traceparent": "00-aa-bb-01",
        "Idempotency-Key": "once",
    }
    async with http.post(f"{url}/v1/responses", json={"input": "hi"}, headers=headers) as reply:
        assert reply.headers["x-request-id"] == given
    passed = {name: service.metadata[0].get(name.lower()) for name in headers}
    assert passed == headers


@pytest.mark.parametrize("given", ["", "a b", "a,b", "x" * 129, "ünï"])
async def test_any_other_request_id_is_replaced(
    given: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    service.models = []
    async with http.get(f"{url}/v1/models", headers={"x-request-id": given}) as reply:
        made = reply.headers["x-request-id"]
    assert made.startswith("req_")
    assert service.metadata[0]["x-request-id"] == made


@pytest.mark.parametrize("key", ["Bearer schlüssel", "Bearer " + "x" * 5000])
async def test_a_key_that_grpc_cannot_carry_stays_behind(
    key: str, service: FakeService, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{url}/v1/models", headers={"Authorization": key}) as reply:
        assert reply.status == 200
    assert "authorization" not in service.metadata[0]


async def test_pages_of_other_origins_may_not_call_unless_allowed(url: str, http: aiohttp.ClientSession) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    async with http.options(f"{url}/v1/responses", headers=headers) as reply:
        assert reply.status == 405
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("origins", "allowed"), [(("https://a.example",), "https://a.example"), (("*",), "*"), (("https://b.c",), None)]
)
async def test_an_allowed_origin_may_delete_and_stream_and_read_the_request_id(
    origins: tuple[str, ...],
    allowed: str | None,
    service: FakeService,
    start_facade: StartFacade,
    http: aiohttp.ClientSession,
) -> None:
    url = await start_facade(cors_origins=origins)
    service.script = scripts.text("Hi")
    origin = {"Origin": "https://a.example"}
    asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    async with http.options(f"{url}/v1/responses/resp_1", headers=origin | asked) as reply:
        assert (reply.status, reply.headers.get("Access-Control-Allow-Origin")) == (204, allowed)
        assert ("DELETE" in reply.headers.get("Access-Control-Allow-Methods", "")) == (allowed is not None)
    body = {"input": "hi", "stream": True}
    async with http.post(f"{url}/v1/responses", json=body, headers=origin) as reply:
        assert reply.headers.get("Access-Control-Allow-Origin") == allowed
        exposed = reply.headers.get("Access-Control-Expose-Headers", "")
        assert ("x-request-id" in exposed) == (allowed is not None)
    async with http.get(f"{url}/v1/responses/none", headers=origin) as reply:
        assert (reply.status, reply.headers.get("Access-Control-Allow-Origin")) == (404, allowed)
