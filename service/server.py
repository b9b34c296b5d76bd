"""The gRPC server: a bound port, the services on it, whether they are ready, and how it all stops.

It knows neither where the model comes from nor which signals there are.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from answerd.v1 import responses_service_pb2
from answerd.v1.responses_service_pb2_grpc import add_ResponsesServiceServicer_to_server
from common.logging import get_logger
from service.admission import Admission
from service.background import Background
from service.models.catalogue import Models
from service.recorder import Pause
from service.running import RunningResponses
from service.servicer import ResponsesServicer
from service.store import Store, StoreError

SERVICE_NAME = responses_service_pb2.DESCRIPTOR.services_by_name["ResponsesService"].full_name
# How long, after the grace, a response that was cut off may take to be told, and a reader to take it.
CUT_SECONDS = 1.0
FLUSH_SECONDS = 1.0
SWEEP_SECONDS = 3600.0

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

log = get_logger("service.server")


class PortTaken(Exception):
    """The address cannot be listened on; `str()` is one sentence."""


@dataclass(frozen=True)
class Port:
    """A gRPC server that has its port and answers nothing yet. number: the port, also where any was asked for."""

    server: grpc.aio.Server
    number: int


def bind(address: str, max_body_bytes: int, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> Port:
    """Takes `host:port`, before anything slow begins. Raises PortTaken."""
    _check_free(address)
    server = grpc.aio.server(interceptors=interceptors, options=_options(max_body_bytes))
    try:
        return Port(server, server.add_insecure_port(address))
    except RuntimeError:
        raise PortTaken(_refusal(address, "it is taken")) from None


def _check_free(address: str) -> None:
    # gRPC would say it too, but in lines of its own on stderr and without the reason. Raises PortTaken.
    host, _, port = address.rpartition(":")
    try:
        family, kind, _, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # A port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise PortTaken(_refusal(address, error.strerror or str(error))) from None


def _refusal(address: str, reason: str) -> str:
    return f"{address} (ANSWERD_HOST, ANSWERD_GRPC_PORT) cannot be listened on: {reason[0].lower()}{reason[1:]}."


def _options(max_body_bytes: int) -> list[tuple[str, int]]:
    return [
        # Without it a second server binds the same port, and the two share its calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_body_bytes),
        # What is sent is of our own making: a request at its limit, echoed, and the answer.
        ("grpc.max_send_message_length", -1),
        # Streams that are silent for minutes, and clients that ping to keep them open.
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 10000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


class Server:
    """The services on a port. Store and models stay the caller's.

    running: the responses that run now.
    """

    def __init__(
        self,
        port: Port,
        store: Store,
        default_max_output_tokens: int,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        pause: Pause = asyncio.sleep,
    ) -> None:
        """now: seconds since 1970. steady: seconds on a clock that never goes back. pause: waits so many seconds."""
        self._grpc, self._store = port.server, store
        self._background = Background()
        self.running = RunningResponses(on_end=self._check_engines)
        admission = Admission(store, self.running, self._background, default_max_output_tokens, now, steady, pause)
        self._servicer = ResponsesServicer(store, self.running, admission, self._background)
        self._health = health.aio.HealthServicer()
        self._models: Models | None = None
        self._ready = False
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to answer: alive, but not ready, and stored responses can be got."""
        add_ResponsesServiceServicer_to_server(self._servicer, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection((SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc)
        await self._health.set(SERVICE_NAME, _NOT_SERVING)
        await self._grpc.start()
        await self._sweep()
        self._sweeping = asyncio.create_task(self._keep_sweeping())

    async def open(self, models: Models) -> None:
        """Serves these models, the first of which is loaded, from now on."""
        self._models = models
        self._servicer.open(models)
        await self._set_ready(True)

    async def stop(self, grace: float) -> None:
        """Takes no new responses, gives the running ones `grace` seconds, ends the others as failed, and closes
        the port. Everything is written into the store when this returns."""
        self._servicer.close()
        if self._models is not None:
            self._models.stop_loading()
        await self._set_ready(False)
        if not await self.running.ended(within=grace):
            log.warning("responses are cut off, because the server stops", responses=len(self.running))
            self.running.stop()
            await self.running.ended(within=CUT_SECONDS)
        # Readers that do not read are left behind; those that do get their last events.
        await self._grpc.stop(FLUSH_SECONDS)
        self.running.leave()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._background.settle()

    def _check_engines(self) -> None:
        if self._models is None:
            return
        failure = self._models.failure
        if self._ready != (failure is None) and self._servicer.is_open:
            log.error("the engine is not fit to serve", reason=failure) if failure else log.info("the engine is back")
            self._background.start(self._set_ready(failure is None))

    async def _set_ready(self, ready: bool) -> None:
        # A stop may have begun since this was asked for.
        self._ready = ready and self._servicer.is_open
        await self._health.set(SERVICE_NAME, _SERVING if self._ready else _NOT_SERVING)

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self._sweep()

    async def _sweep(self) -> None:
        try:
            await self._store.sweep()
        except StoreError as error:
            log.error("the store could not be swept", error=str(error))
