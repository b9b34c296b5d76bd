"""`python -m service`: from settings to a server that answers, and from a signal to its end.

It puts the parts together in their order. Whatever keeps it from starting is one sentence on stderr and the status 1,
or 2 for wrong settings; an engine that breaks ends it in the same way.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Literal, TypeVar

from common.logging import configure_logging, get_logger
from common.settings import Settings, SettingsError, load_settings
from inference.engine import BROKE
from inference.stream import AsyncEngine
from inference.types import EngineStopped, InferenceError
from service.interceptors import CallInterceptor
from service.keys import KeyRing, KeysFileError
from service.models.loading import LoadedModel, Progress, load_model, serve
from service.progress import ProgressBar
from service.recovery import fail_unfinished
from service.server import PortTaken, Server, bind
from service.store import SECONDS_A_DAY, Bounds, StoreError, open_store

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOADER = "model-loader"
START_ERRORS = (SettingsError, KeysFileError, PortTaken, StoreError, InferenceError, OSError)

Load = Callable[[Settings, Progress], LoadedModel]
T = TypeVar("T")

log = get_logger("service")


def main(argv: Sequence[str], environ: Mapping[str, str], load: Load = load_model) -> int:
    """Serves until a stop signal. The exit status: 0 after a stop, 1 if the start failed or the engine broke, 2 for
    wrong settings."""
    try:
        settings = load_settings(argv, environ)
        configure_logging(settings.log_format, settings.log_level)
        asyncio.run(run(settings, load))
    except START_ERRORS as error:
        print(f"answerd: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, SettingsError) else 1
    return 0


async def run(settings: Settings, load: Load) -> None:
    """Serves until a stop signal. Raises one of START_ERRORS, EngineStopped if the engine breaks."""
    stop = _stop_signal()
    keys = KeyRing.load(settings.api_keys_file)
    # The port comes first: were it taken, nothing slow would have been done, and while the model loads, health and a
    # clear "not yet" are answered.
    port = bind(settings.grpc_address, settings.max_body_bytes, [CallInterceptor(keys.owner_of)])
    async with AsyncExitStack() as parts:
        parts.push_async_callback(port.server.stop, None)
        store = await open_store(settings.store, _bounds(settings))
        parts.push_async_callback(store.close)
        recovered = await fail_unfinished(store)
        server = Server(port, store, settings.max_output_tokens)
        await server.start()
        parts.push_async_callback(server.stop, settings.grace_seconds)
        _say(f"gRPC listens on {settings.grpc_address}. Responses are kept in {settings.store}.")
        if recovered:
            _say(f"{recovered} responses were running when the server last stopped; they have failed.")
        await _serve(settings, load, server, stop)


async def _serve(settings: Settings, load: Load, server: Server, stop: asyncio.Event) -> None:
    progress = ProgressBar("answerd: converting the model", sys.stdout)
    stopped = asyncio.ensure_future(stop.wait())
    loading = _on_thread(lambda: load(settings, progress))
    await asyncio.wait((loading, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not stopped.done():
        loaded = loading.result()
        model = serve(loaded, settings.queue)
        await server.open(model)
        if model.context_length < settings.context:
            _say(f"ANSWERD_CONTEXT is {settings.context}; the model's own context is {model.context_length}.")
        slots = f"{settings.slots} slots of {model.context_length} tokens"
        _say(f"serving {model.name} on {loaded.provider}; {slots}. The service is ready.")
        await _stopped_or_broken(stopped, model.engine)
    loading.cancel()
    _say("stopping.")


async def _stopped_or_broken(stopped: asyncio.Future[Literal[True]], engine: AsyncEngine) -> None:
    broken = asyncio.ensure_future(engine.broken.wait())
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


def _on_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Runs work that cannot be interrupted on a thread which the process does not wait for at its end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(report: Callable[[T], None] | Callable[[BaseException], None], value: object) -> None:
        if not future.done():
            report(value)  # type: ignore[arg-type] # each report gets what it takes

    def run_work() -> None:
        report: Callable[..., None] = future.set_result
        try:
            outcome: object = work()
        except BaseException as error:
            report, outcome = future.set_exception, error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, report, outcome)

    threading.Thread(target=run_work, name=LOADER, daemon=True).start()
    return future


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        max_age_seconds=settings.store_max_age_days * SECONDS_A_DAY,
        max_records=settings.store_max_responses,
        max_bytes=settings.store_max_bytes,
    )


def _say(line: str) -> None:
    print(f"answerd: {line}", flush=True)


def leave(status: int) -> None:
    """Ends the process, at once if a model is still loading: native code must not meet the interpreter's end."""
    if any(thread.name == LOADER for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:], os.environ))
