"""Many clients at once: everybody gets a whole answer of their own, and nobody waits for somebody slow."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from contextlib import closing
from http.client import HTTPConnection

import httpx2

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input
from tests.e2e.api import SECONDS, STORY, Api
from tests.e2e.rpc import Rpc
from tests.support.replies import CheckedAsyncTransport
from tests.support.server import Server, eventually
from tests.support.sse import parse_frame, parse_frames, text_of

WORDS = re.findall(
    r"\w+",
    """
    apple river candle mountain guitar silver pencil garden window tiger bread ocean lantern horse castle violin
""",
)
# With it a peer has sent what fits into a few packets, and then has to wait for whoever does not read.
LITTLE_WINDOW = (("grpc.http2.lookahead_bytes", 5), ("grpc.http2.bdp_probe", 0))


def test_who_asks_again_gets_the_same_answer_although_the_prompt_is_not_computed_again(narrow: Server) -> None:
    with Api(narrow.url) as api:
        first, second = (api.create(input="Tell me about the moon.", max_output_tokens=24) for _ in range(2))
        chances = [api.create(input="Sing!", temperature=1, seed=seed, max_output_tokens=16) for seed in (7, 7, 8)]
    assert second["output_text"] == first["output_text"]
    assert second["usage"]["input_tokens_details"]["cached_tokens"] > 20
    assert chances[0]["output_text"] == chances[1]["output_text"] != chances[2]["output_text"]


async def test_sixteen_streams_at_once_each_tell_a_whole_answer_to_their_own_question(server: Server) -> None:
    # No text is compared with that of another run: who is computed together with whom decides its last bits.
    async with httpx2.AsyncClient(base_url=server.url, transport=CheckedAsyncTransport(), timeout=SECONDS) as http:

        async def ask(word: str) -> tuple[str, str]:
            body = {"input": f"Write one sentence about the word {word}.", "temperature": 0, "max_output_tokens": 16}
            reply = await http.post("/v1/responses", json=body | {"stream": True})
            events = parse_frames(reply.content)
            stored = await http.get(f"/v1/responses/{events[-1]['response']['id']}")
            assert stored.json()["output_text"] == text_of(events)
            return word, text_of(events).lower()

        answers = await asyncio.gather(*map(ask, WORDS))
    assert [word for word, text in answers if word not in text] == []


def test_a_reader_over_grpc_that_reads_nothing_holds_up_nobody_and_misses_nothing(server: Server, api: Api) -> None:
    request = CreateResponseRequest(input=Input(text=STORY), temperature=0, max_output_tokens=32)
    with Rpc(server.grpc_target, options=LITTLE_WINDOW) as stuck, stuck.stream(request) as slow:
        slow.read()
        for _ in range(2):
            assert api.create()["usage"]["output_tokens"] == 8
        deadline = time.monotonic() + SECONDS
        while api.get(slow.id)["status"] == "in_progress":
            assert time.monotonic() < deadline, "the answer waits for its reader"
        stored = api.get(slow.id)
        slow.read_to_end()
    assert stored["status"] == "incomplete"
    assert slow.end.usage.output_tokens == 32
    assert stored["output_text"] == slow.text


def test_a_reader_over_http_that_reads_nothing_holds_up_nobody_and_misses_nothing(server: Server, api: Api) -> None:
    with closing(HTTPConnection("127.0.0.1")) as http:
        http.sock = socket_with_little_room(server)
        # So long, with all that is told of each token, that it does not fit into what lies between the two ends.
        told = {"top_logprobs": 20, "include": ["message.output_text.logprobs"], "stream": True}
        body = {"input": STORY, "temperature": 0, "max_output_tokens": 64, **told}
        http.request("POST", "/v1/responses", json.dumps(body), {"Content-Type": "application/json"})
        reply = http.getresponse()
        first = b"".join(reply.readline() for _ in range(3))
        id = parse_frame(first.decode().rstrip())["response"]["id"]
        for _ in range(2):
            assert api.create()["usage"]["output_tokens"] == 8
        stored = eventually(lambda: found if (found := api.get(id))["status"] != "in_progress" else None, SECONDS)
        # The service is done with it, and the facade still has a reply to send.
        assert eventually(lambda: line_of("call", server, id))
        assert line_of("request", server, id) is None
        events = parse_frames(first + reply.read())
        assert eventually(lambda: line_of("request", server, id))
    assert stored["status"] == "incomplete"
    assert events[-1]["response"]["output"] == stored["output"]
    assert text_of(events) == stored["output_text"]


def socket_with_little_room(server: Server) -> socket.socket:
    """A connection with a small buffer at this end, and with small packets, by which the system sizes the other one."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    connection.connect(("127.0.0.1", int(str(server.settings["http_port"]))))
    return connection


def line_of(event: str, server: Server, response_id: str) -> str | None:
    """The line that a process writes at the end of the call or request which made a response."""
    wanted = (f'"event": "{event}"', f'"{response_id}"', "CreateResponse" if event == "call" else '"POST"')
    return next((line for line in server.log.lines if all(part in line for part in wanted)), None)
