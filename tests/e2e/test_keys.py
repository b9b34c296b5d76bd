"""A server with API keys: who has none gets nothing, and nobody meets what belongs to somebody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input
from answerd.v1.model_pb2 import ListModelsRequest
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest
from tests.e2e.api import Api
from tests.e2e.conftest import Fleet
from tests.e2e.rpc import SECONDS, Rpc
from tests.support.replies import CheckedReply
from tests.support.server import ROOT, Server, clean_environ
from tests.support.talk import Talk

UNKNOWN = "resp_00000000000000000000000000000000"


def make_key(owner: str, file: Path) -> str:
    command = [sys.executable, "-m", "service.keys", owner, "--file", str(file)]
    made = subprocess.run(command, cwd=ROOT, env=clean_environ({}), capture_output=True, text=True, check=True)
    return made.stdout.strip()


class Guarded:
    """A server with keys, and the keys of two owners."""

    def __init__(self, server: Server, alice: str, bob: str) -> None:
        self.server, self.alice, self.bob = server, alice, bob


@pytest.fixture(scope="module")
def guarded(fleet: Fleet, pair: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    file = tmp_path_factory.mktemp("keys") / "keys"
    alice, bob = make_key("alice", file), make_key("bob", file)
    server = fleet.start(api_keys_file=file)
    yield Guarded(server, alice, bob)
    fleet.close(server)


@pytest.mark.parametrize(("key", "said"), [(None, "did not provide"), ("sk-answerd-wrong", "Incorrect")])
def test_without_a_known_key_every_call_is_refused(guarded: Guarded, key: str | None, said: str) -> None:
    with Api(guarded.server.url, key) as api, Rpc(guarded.server.grpc_target, key) as rpc:
        replies = [
            api.refused(),
            api.refused(stream=True),
            api.http.get("/v1/models"),
            api.http.get(f"/v1/responses/{UNKNOWN}"),
            api.http.delete(f"/v1/responses/{UNKNOWN}"),
        ]
        refusals = [
            rpc.refused("CreateResponse", CreateResponseRequest(input=Input(text="Hello!"))),
            rpc.refused("GetResponse", GetResponseRequest(id=UNKNOWN)),
            rpc.refused("ListModels", ListModelsRequest()),
        ]
    for reply in replies:
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
        error = reply.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_api_key", None)
        assert said in error["message"]
    for refused in refusals:
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")
        assert said in refused.message


def test_health_asks_for_no_key(guarded: Guarded) -> None:
    with Api(guarded.server.url) as api, Rpc(guarded.server.grpc_target) as rpc:
        assert [api.http.get(path).status_code for path in ("/livez", "/readyz", "/health")] == [200, 200, 200]
        health = health_pb2_grpc.HealthStub(rpc.channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status == 1


def without_id(error: dict[str, Any], response_id: str) -> str:
    return str(error).replace(response_id, "ID")


def test_over_http_somebody_elses_response_is_exactly_like_an_unknown_one(guarded: Guarded) -> None:
    with Api(guarded.server.url, guarded.alice) as alice, Api(guarded.server.url, guarded.bob) as bob:
        hers = alice.create()

        def attempts(response_id: str) -> list[tuple[int, str]]:
            replies = [
                bob.http.get(f"/v1/responses/{response_id}"),
                bob.http.delete(f"/v1/responses/{response_id}"),
                bob.refused(previous_response_id=response_id),
            ]
            return [(reply.status_code, without_id(reply.json(), response_id)) for reply in replies]

        assert attempts(hers["id"]) == attempts(UNKNOWN)
        assert [status for status, _ in attempts(UNKNOWN)] == [404, 404, 400]
        assert alice.get(hers["id"]) == hers
        assert alice.create(previous_response_id=hers["id"])["previous_response_id"] == hers["id"]


async def test_over_a_websocket_the_key_of_the_handshake_says_whose_the_responses_are(guarded: Guarded) -> None:
    url = f"{guarded.server.url}/v1/responses"
    with Api(guarded.server.url, guarded.alice) as alice:
        hers = alice.create()
    async with aiohttp.ClientSession(response_class=CheckedReply) as http:
        for headers in ({}, {"Authorization": "Bearer sk-answerd-wrong"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(url, headers=headers)
            assert refused.value.status == 401
        ends = []
        for key in (guarded.alice, guarded.bob):
            async with http.ws_connect(url, headers={"Authorization": f"Bearer {key}"}) as socket:
                body = {"input": "Go on.", "previous_response_id": hers["id"], "max_output_tokens": 4}
                ends.append((await Talk(socket).ask(body))[-1])
    assert ends[0]["response"]["previous_response_id"] == hers["id"]
    assert ends[1]["error"]["code"] == "previous_response_not_found"


def test_over_grpc_somebody_elses_response_is_exactly_like_an_unknown_one(guarded: Guarded) -> None:
    target = guarded.server.grpc_target
    with Rpc(target, guarded.alice) as alice, Rpc(target, guarded.bob) as bob:
        hers = alice.create(CreateResponseRequest(input=Input(text="Hello!"), max_output_tokens=4))

        def attempts(response_id: str) -> list[tuple[grpc.StatusCode, str | None, str]]:
            again = CreateResponseRequest(input=Input(text="Go on."), previous_response_id=response_id)
            refusals = [
                bob.refused("GetResponse", GetResponseRequest(id=response_id)),
                bob.refused("DeleteResponse", DeleteResponseRequest(id=response_id)),
                bob.refused("CreateResponse", again),
            ]
            return [(each.code, each.reason, each.message.replace(response_id, "ID")) for each in refusals]

        assert attempts(hers.id) == attempts(UNKNOWN)
        assert alice.get(hers.id) == hers
