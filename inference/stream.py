"""The engine under an event loop: bounded admission, and an async iterator of outputs per request.

Everything here happens on the loop's thread, except the hand-overs, at most one per step. It knows no scheduling.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from inference.engine import Engine, Outputs
from inference.options import DEFAULTS, EngineOptions
from inference.runner import Runner
from inference.types import EngineStats, EngineStopped, GenerationRequest, Output, QueueFull


class Generation:
    """One request's outputs, in order; those that wait are merged into one. The last one has a finish.

    Use it with `async with`, or call `abort` in a `finally`: a request nobody reads runs on to its end otherwise.
    """

    def __init__(self, request_id: str, engine: Engine) -> None:
        self.id = request_id
        self._engine = engine
        self._ready: list[Output] = []
        self._reader: asyncio.Future[None] | None = None
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Output:
        """The next output; for one reader at a time."""
        if not self._ready:
            if self._ended:
                raise StopAsyncIteration
            assert self._reader is None, "a generation has one reader"
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        ready, self._ready = self._ready, []
        return merge(ready)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def abort(self) -> None:
        """Free the slot within one step; an output with ABORTED follows. Nothing happens after the last output."""
        if not self._ended:
            self._engine.abort(self.id)

    def push(self, output: Output) -> None:
        """Hand an output to the reader; only AsyncEngine calls this."""
        self._ready.append(output)
        self._ended = output.finish is not None
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def merge(outputs: list[Output]) -> Output:
    """One output that says what all of these, which follow each other, say."""
    if len(outputs) == 1:
        return outputs[0]
    last = outputs[-1]
    text = "".join(output.text for output in outputs)
    logprobs = tuple(logprob for output in outputs for logprob in output.logprobs)
    starts = tuple(start for output in outputs for start in output.starts)
    return Output(text, sum(output.tokens for output in outputs), last.cached_tokens, last.finish, logprobs, starts)


class AsyncEngine:
    """Engine for one event loop, that of `start`. At most `slots + queue_limit` requests live at once.

    The other arguments are Engine's.
    """

    def __init__(
        self,
        runner: Runner,
        token_bytes: Sequence[bytes],
        end_tokens: frozenset[int],
        *,
        queue_limit: int = 128,
        options: EngineOptions = DEFAULTS,
    ) -> None:
        self._engine = Engine(runner, token_bytes, end_tokens, self._deliver, options)
        self.token_bytes = token_bytes  # what each token id that can be drawn adds to the text
        self.limit = self._engine.slots + queue_limit  # requests that may live at once
        self._live: dict[str, Generation] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = True
        self._empty = asyncio.Event()
        self._empty.set()
        self.broken = asyncio.Event()  # set when a bug has ended the engine's thread: it never serves again
        self.stats: EngineStats = self._engine.stats  # as of the last step that was handed over

    @property
    def live(self) -> int:
        """Requests that were accepted and whose last output has not come yet."""
        return len(self._live)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._engine.start()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def submit(self, request: GenerationRequest) -> Generation:
        """Accept a request or refuse it at once: QueueFull, ContextLengthExceeded, EngineStopped."""
        [generation] = self.submit_together([request])
        return generation

    def submit_together(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """Accept requests with one prompt, which is computed once, or refuse them all."""
        assert not any(request.id in self._live for request in requests), "ids are unique among live requests"
        self.check_room(len(requests))
        self._engine.submit(*requests)
        generations = [Generation(request.id, self._engine) for request in requests]
        self._live.update((generation.id, generation) for generation in generations)
        self._empty.clear()
        return generations

    def check_room(self, count: int = 1) -> None:
        """Raise what submitting so many would raise now whatever they are: QueueFull, EngineStopped."""
        if not self._open:
            raise EngineStopped("The engine takes no new requests: it is shutting down.")
        if len(self._live) + count > self.limit:
            raise QueueFull(f"{len(self._live)} requests run or wait; no more are taken until one ends.")

    async def idle(self) -> None:
        """Return when no request lives; another may come at once."""
        await self._empty.wait()

    async def drain(self) -> None:
        """Take no new requests, and return when none lives."""
        self._open = False
        await self._empty.wait()

    async def close(self) -> None:
        """End what lives with STOPPED and close the runner; may be called more than once."""
        self._open = False
        self._engine.stop()
        await asyncio.to_thread(self._engine.close)
        # The thread's last hand-over was put on the loop before it ended, so it has been taken by now.
        assert not self._live, "each request got its last output"

    def _deliver(self, outputs: Outputs, stats: EngineStats) -> None:
        if self._loop is None:  # closed without a start: nothing lives
            return
        try:
            self._loop.call_soon_threadsafe(self._take, outputs, stats)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._open = False

    def _take(self, outputs: Outputs, stats: EngineStats) -> None:
        self.stats = stats
        if stats.broken:
            self._open = False
            self.broken.set()
        for request_id, output in outputs:
            generation = self._live[request_id]
            if output.finish is not None:
                del self._live[request_id]
            generation.push(output)
        if not self._live:
            self._empty.set()
