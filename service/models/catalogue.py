"""All models that may be served: loaded at the start or when first asked for, unloaded where memory is short.

It decides who is loaded when; how a model is found and loaded is the affair of the function it is given.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from answerd.v1.model_pb2 import Model
from common.logging import get_logger
from inference.types import InferenceError, ModelFileError, QueueFull
from service.errors import ServiceError, model_not_found, model_not_loaded, models_busy, unavailable
from service.models.loading import LoadedModel, Prepare, PreparedModel, Report, serve
from service.models.memory import give_back
from service.models.place import Place
from service.models.served import ServedModel
from service.models.spec import ModelSpec
from service.models.worker import on_thread
from service.validate.request import DEFAULT_MODEL

# How long a request waits until another model has ended its requests and can make room.
ROOM_SECONDS = 30.0
# How long a model that could not be loaded is not tried again.
RETRY_SECONDS = 10.0

LOAD_ERRORS = (InferenceError, OSError, MemoryError)

Told = Callable[[ServedModel, LoadedModel], None]

log = get_logger("service.models")


class Models:
    """Belongs to one event loop. `default` is the first model. broken: set when an engine broke that nothing can
    replace."""

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        prepare: Prepare,
        report: Report,
        *,
        memory: int,
        queue: int,
        patience: float = ROOM_SECONDS,
        told: Told = lambda served, loaded: None,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """prepare, report: see loading. memory: bytes that all models together may take. queue: requests that may
        wait for one model. patience: seconds that a model waits for room. told: called with each model that was
        loaded. now: seconds since 1970. steady: seconds on a clock that never goes back."""
        self._places = [Place(spec, created=int(now())) for spec in specs]
        self._prepare, self._report, self._told = prepare, report, told
        self._memory, self._queue, self._patience, self._steady = memory, queue, patience, steady
        self._uses = itertools.count(1)
        # One model comes or goes at a time: what it takes is measured, and nobody else may take that room.
        self._moving = asyncio.Lock()
        self._news = asyncio.Event()
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self.broken = asyncio.Event()

    async def start(self) -> None:
        """Loads the default model and those that are wanted from the start. Raises one of LOAD_ERRORS for the default
        model; the others are tried again when they are asked for."""
        default, *others = self._places
        await self._load(default)
        for place in others:
            if place.spec.at_start:
                with suppress(ServiceError, *LOAD_ERRORS):
                    await self._load_or_log(place)

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[ServedModel]:
        """The model of this name, loaded if it is not, which is not unloaded within.

        Raises ServiceError for a name that is not served, a model that cannot be loaded, and one that finds no room;
        QueueFull if too many wait for it already.
        """
        place = self._place(name)
        if place.served is None and place.users >= self._queue + place.spec.slots:
            raise QueueFull(f"{place.users} requests wait for {place.name} to be loaded.")
        place.users += 1
        place.used = next(self._uses)
        try:
            yield place.served or await self._loaded(place)
        finally:
            place.users -= 1
            self._news.set()

    def longest_prompt(self, name: str) -> int:
        """In tokens, an upper bound until the model is loaded."""
        return (self._find(name) or self._places[0]).longest_prompt

    def card(self, name: str) -> Model:
        """The model as clients see it. Raises ServiceError, MODEL_NOT_FOUND."""
        return self._place(name).card()

    def cards(self) -> list[Model]:
        """All of them, the default one first."""
        return [place.card() for place in self._places]

    @property
    def failure(self) -> str | None:
        """Why no loaded model can answer, or None if one can."""
        failures = [place.served.engine.stats.failure for place in self._places if place.served is not None]
        return failures[0] if failures and None not in failures else None

    def stop_loading(self) -> None:
        """Tells those who wait for a model, or come to, that it does not come any more."""
        self._stopping = True
        for place in self._places:
            if place.loading is not None:
                place.loading.cancel()

    async def close(self) -> None:
        """Ends every engine."""
        self.stop_loading()
        for watcher in self._watchers.values():
            watcher.cancel()
        for place in self._places:
            if place.served is not None:
                await place.served.close()

    def _find(self, name: str) -> Place | None:
        if name == DEFAULT_MODEL:
            return self._places[0]
        return next((place for place in self._places if place.name == name), None)

    def _place(self, name: str) -> Place:
        if (place := self._find(name)) is None:
            raise model_not_found(name)
        return place

    async def _loaded(self, place: Place) -> ServedModel:
        if self._stopping:
            raise unavailable()
        if place.failed_at is not None and self._steady() < place.failed_at + RETRY_SECONDS:
            raise model_not_loaded(place.name)
        if place.loading is None:
            place.loading = asyncio.create_task(self._load_or_log(place))
            place.loading.add_done_callback(lambda task: _forget(place, task))
        loading = place.loading
        try:
            # Whoever leaves leaves the others, who wait for the same.
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():
                raise unavailable() from None
            raise
        except LOAD_ERRORS:
            raise model_not_loaded(place.name) from None

    async def _load(self, place: Place) -> ServedModel:
        prepared = await on_thread(lambda: self._prepare(place.spec, self._report))
        async with self._moving:
            return await self._move_in(place, prepared)

    async def _load_or_log(self, place: Place) -> ServedModel:
        try:
            return await self._load(place)
        except LOAD_ERRORS as error:
            place.failed_at = self._steady()
            log.error("a model could not be loaded", model=place.name, error=str(error))
            raise

    async def _move_in(self, place: Place, prepared: PreparedModel) -> ServedModel:
        await self._make_room(place, prepared.needs)
        began = self._steady()
        loaded = await on_thread(prepared.load)
        try:
            await self._make_room(place, loaded.memory)  # what was measured may be more than what was expected
        except BaseException:
            loaded.runner.close()
            raise
        served = serve(loaded, self._queue, place.spec.name)
        place.take(served, loaded.memory)
        self._watchers[place.name] = asyncio.create_task(self._watch(place, served))
        log.info("a model was loaded", model=place.name, bytes=loaded.memory, seconds=round(self._steady() - began, 2))
        self._told(served, loaded)
        return served

    async def _make_room(self, place: Place, size: int) -> None:
        """Unloads idle models, the one first that was not used for longest, until `size` bytes are free."""
        if size > self._memory:
            raise ModelFileError(place.spec.fault(f"it takes {size} bytes and ANSWERD_MODELS_MEMORY is {self._memory}"))
        try:
            async with asyncio.timeout(self._patience):
                while sum(other.memory for other in self._places) + size > self._memory:
                    if idle := [other for other in self._places if other.idle]:
                        await self._unload(min(idle, key=lambda other: other.used))
                    else:
                        await self._until_one_may_be_idle()
        except TimeoutError:
            raise models_busy(place.name) from None

    async def _until_one_may_be_idle(self) -> None:
        self._news.clear()
        engines = [place.served.engine for place in self._places if place.served is not None]
        changes = [self._news.wait(), *(engine.idle() for engine in engines if engine.live)]
        waits = [asyncio.ensure_future(change) for change in changes]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _unload(self, place: Place) -> None:
        served, place.served, place.memory = place.served, None, 0
        assert served is not None, "only what is loaded is unloaded"
        watcher = self._watchers.pop(place.name)
        if watcher is not asyncio.current_task():
            watcher.cancel()
        # A close that is under way frees the memory whether or not somebody waits.
        await asyncio.shield(asyncio.ensure_future(served.close()))
        await asyncio.to_thread(give_back)
        log.info("a model was unloaded", model=place.name)

    async def _watch(self, place: Place, served: ServedModel) -> None:
        await served.engine.broken.wait()
        if len(self._places) == 1:
            self.broken.set()
            return
        log.error("the engine of a model broke; it is loaded again when it is asked for", model=place.name)
        async with self._moving:
            if place.served is served:
                await self._unload(place)


def _forget(place: Place, loading: asyncio.Task[ServedModel]) -> None:
    place.loading = None
    if not loading.cancelled():
        loading.exception()  # told to those who waited; asyncio would repeat it if there were none
