"""Clients that ping to keep their connection open, on an idle connection and during a stream, however often they do.

Written in HTTP/2 frames (RFC 9113), since gRPC's own client decides by the clock when it pings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_pb2 import Input
from tests.service.conftest import LONG
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, text_of

DATA, HEADERS, SETTINGS, PING, GO_AWAY = 0, 1, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
# gRPC's default is to end a connection at the third ping that comes without data.
MANY = 50


@dataclass
class Connection:
    """One of HTTP/2, on which no more than one call is made. data: what the server has sent for it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    data: bytes = b""
    pongs: list[bytes] = field(default_factory=list)
    ended: bool = False

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.writer.write(len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload)

    async def receive(self) -> None:
        """Takes the next frame. The server does not end the connection."""
        head = await asyncio.wait_for(self.reader.readexactly(9), WAIT)
        kind, flags = head[3], head[4]
        payload = await self.reader.readexactly(int.from_bytes(head[:3]))
        assert kind != GO_AWAY, payload
        if kind == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK, 0)
        elif kind == PING and flags & ACK:
            self.pongs.append(payload)
        elif kind == PING:
            self.send(PING, ACK, 0, payload)
        elif kind == DATA:
            self.data += payload
        elif kind == HEADERS:
            self.ended = self.ended or bool(flags & END_STREAM)

    async def ping(self) -> None:
        """Pings many times, and waits for each answer."""
        for number in range(MANY):
            self.send(PING, 0, 0, number.to_bytes(8))
            while not self.pongs or self.pongs[-1] != number.to_bytes(8):
                await self.receive()

    def call(self, path: str, request: bytes) -> None:
        """Begins a call. Headers are written as they are (RFC 7541, 6.2.2)."""
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        block = b"".join(
            b"\0" + b"".join(bytes([len(word)]) + word.encode() for word in header) for header in headers.items()
        )
        self.send(HEADERS, END_HEADERS, 1, block)
        self.send(DATA, END_STREAM, 1, b"\0" + len(request).to_bytes(4) + request)

    def events(self) -> list[ResponseEvent]:
        """Those that have arrived as a whole."""
        events, rest = [], self.data
        while len(rest) >= 5 and len(rest) >= 5 + int.from_bytes(rest[1:5]):
            end = 5 + int.from_bytes(rest[1:5])
            events.append(ResponseEvent.FromString(rest[5:end]))
            rest = rest[end:]
        return events


@asynccontextmanager
async def connected(served: Served) -> AsyncIterator[Connection]:
    host, _, port = served.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        connection = Connection(reader, writer)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        connection.send(SETTINGS, 0, 0)
        yield connection
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_client_may_ping_on_an_idle_connection(served: Served) -> None:
    async with connected(served) as connection:
        await connection.ping()


async def test_a_client_may_ping_while_its_stream_is_silent(served: Served) -> None:
    served.gate.hold_after(3)
    request = CreateResponseRequest(input=Input(text="long"))
    async with connected(served) as connection:
        connection.call("/answerd.v1.ResponsesService/CreateResponse", request.SerializeToString())
        while "output_text_delta" not in names(connection.events()):
            await connection.receive()
        await connection.ping()
        served.gate.open()
        while not connection.ended:
            await connection.receive()
        assert text_of(final(connection.events())) == LONG
