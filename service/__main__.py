"""`python -m service`: from settings to a server that answers, and from a signal to its end.

It puts the parts together in their order. Whatever keeps it from starting is one sentence on stderr and the status 1,
or 2 for wrong settings; an engine that breaks ends it in the same way.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Literal

from common.logging import configure_logging, get_logger
from common.output import protect_output
from common.settings import Settings, SettingsError, load_settings
from inference.engine import BROKE
from inference.types import EngineStopped, InferenceError
from service.interceptors import CallInterceptor
from service.keys import KeyRing, KeysFileError
from service.models.catalogue import Models
from service.models.loading import LoadedModel, PreparedModel, Report, prepare_model
from service.models.memory import memory_limit
from service.models.served import ServedModel
from service.models.source import check_source
from service.models.spec import ModelSpec, specs_of
from service.models.worker import is_at_work
from service.progress import ProgressBar
from service.recovery import fail_unfinished
from service.server import PortTaken, Server, bind
from service.store import SECONDS_A_DAY, Bounds, StoreError, open_store

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
START_ERRORS = (SettingsError, KeysFileError, PortTaken, StoreError, InferenceError, OSError)

Prepare = Callable[[ModelSpec, Settings, Report], PreparedModel]

log = get_logger("service")


def main(argv: Sequence[str], environ: Mapping[str, str], prepare: Prepare = prepare_model) -> int:
    """Serves until a stop signal. The exit status: 0 after a stop, 1 if the start failed or the engine broke, 2 for
    wrong settings."""
    try:
        settings = load_settings(argv, environ)
        configure_logging(settings.log_format, settings.log_level)
        asyncio.run(run(settings, prepare))
    except START_ERRORS as error:
        print(f"answerd: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    return 0


async def run(settings: Settings, prepare: Prepare) -> None:
    """Serves until a stop signal. Raises one of START_ERRORS, EngineStopped if the engine breaks."""
    stop = _stop_signal()
    keys = KeyRing.load(settings.api_keys_file)
    memory = await asyncio.to_thread(memory_limit)
    models = Models(
        await asyncio.to_thread(_specs, settings),
        lambda spec, report: prepare(spec, settings, report),
        lambda title: ProgressBar(f"answerd: {title}", sys.stdout),
        memory=settings.models_memory or memory,
        queue=settings.queue,
        told=lambda served, loaded: _tell(settings, served, loaded),
    )
    # The port comes first: were it taken, nothing slow would have been done, and while the model loads, health and a
    # clear "not yet" are answered.
    port = bind(settings.grpc_address, settings.max_body_bytes, [CallInterceptor(keys.owner_of)])
    async with AsyncExitStack() as parts:
        parts.push_async_callback(port.server.stop, None)
        store = await open_store(settings.store, _bounds(settings))
        parts.push_async_callback(store.close)
        parts.push_async_callback(models.close)
        recovered = await fail_unfinished(store)
        server = Server(port, store, settings.max_output_tokens)
        await server.start()
        parts.push_async_callback(server.stop, settings.grace_seconds)
        _say(f"gRPC listens on {settings.grpc_address}. Responses are kept in {settings.store}.")
        if recovered:
            _say(f"{recovered} responses were running when the server last stopped; they have failed.")
        await _serve(models, server, stop)


def _specs(settings: Settings) -> Sequence[ModelSpec]:
    specs = specs_of(settings)
    for spec in specs:
        check_source(spec)
    return specs


async def _serve(models: Models, server: Server, stop: asyncio.Event) -> None:
    stopped = asyncio.ensure_future(stop.wait())
    loading = asyncio.ensure_future(models.start())
    await asyncio.wait((loading, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not stopped.done():
        loading.result()
        await server.open(models)
        _say("the service is ready.")
        await _stopped_or_broken(stopped, models.broken)
    loading.cancel()
    _say("stopping.")


def _tell(settings: Settings, model: ServedModel, loaded: LoadedModel) -> None:
    slots = f"{loaded.runner.slots} slots of {model.context_length} tokens"
    _say(f"serving {model.name} on {loaded.provider}; {slots}.")
    if model.context_length < settings.context:
        _say(f"ANSWERD_CONTEXT is {settings.context}; the model's own context is {model.context_length}.")
    if loaded.shortage is not None:
        _say(loaded.shortage)


async def _stopped_or_broken(stopped: asyncio.Future[Literal[True]], engine_broken: asyncio.Event) -> None:
    broken = asyncio.ensure_future(engine_broken.wait())
    await asyncio.wait((stopped, broken), return_when=asyncio.FIRST_COMPLETED)
    broken.cancel()
    if not stopped.done():
        # Another process can start it again; this one could only refuse from now on.
        log.error("the engine broke; the service stops")
        raise EngineStopped(BROKE)


def _stop_signal() -> asyncio.Event:
    """Set by the first stop signal; a second one ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            # Every write is a transaction, and the next start ends what is unfinished: nothing is lost by this.
            os._exit(128 + number)
        stop.set()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    return stop


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        max_age_seconds=settings.store_max_age_days * SECONDS_A_DAY,
        max_records=settings.store_max_responses,
        max_bytes=settings.store_max_bytes,
    )


def _say(line: str) -> None:
    print(f"answerd: {line}")


def leave(status: int) -> None:
    """Ends the process, at once if a model is still loading: native code must not meet the interpreter's end."""
    if is_at_work():
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    protect_output()
    leave(main(sys.argv[1:], os.environ))
