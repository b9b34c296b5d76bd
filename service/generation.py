"""One response from its admission to its end, and all those that run now.

Here the engine's outputs meet the lifecycle's events and the store's writes, in a task of their own: a reader who is
slow, or stands still, delays neither. It knows no gRPC: a caller that leaves is a generator that is closed.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import assert_never

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response
from answerd.v1.usage_pb2 import InputTokensDetails, OutputTokensDetails, Usage
from inference.stream import Generation
from inference.types import FinishReason, Output
from service.background import Background
from service.lifecycle import Cancelled, Completed, Ending, Failed, LengthReached, Lifecycle
from service.recorder import Recorder
from service.status import status_name

STOPPED = Failed("unavailable", "the server was stopped")
MODEL_FAILED = Failed("model_error", "The model failed while it generated this response.")
NOT_STORED = Failed("store_unavailable", "The response could not be stored, although it was to be kept.")


class RunningResponse:
    """One response while it runs. `events` is iterated once; whatever ends that iteration ends the response."""

    def __init__(
        self,
        owner: str,
        response: Response,
        item_id: str,
        generation: Generation,
        prompt_tokens: int,
        recorder: Recorder | None,
        background: Background,
        now: Callable[[], float],
    ) -> None:
        """response: as admitted. recorder: None if the response is not to be stored. background: carries
        the response on while nobody reads. now: seconds since 1970."""
        self.id, self.owner = response.id, owner
        self._lifecycle = Lifecycle(response, item_id)
        self._generation = generation
        self._prompt_tokens = prompt_tokens
        self._recorder = recorder
        self._background, self._now = background, now
        self._output_tokens = self._cached_tokens = 0
        self._waiting: list[str] = []  # text that no event tells yet
        self._told: list[ResponseEvent] = []  # numbered, and not yet taken by the reader
        self._news = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._cut: Ending | None = None
        self._stored: asyncio.Task[bool] | None = None
        self._on_settled: Callable[[RunningResponse], None] = lambda _: None

    @property
    def is_kept(self) -> bool:
        """Whether others can get it by its id."""
        return self._recorder is not None

    def on_settled(self, callback: Callable[["RunningResponse"], None]) -> None:
        """What to call once, when the response has ended and its last write is over."""
        self._on_settled = callback

    def snapshot(self) -> Response | None:
        """The response as it stands, or None once it has ended: then the store has the truth, or will."""
        return None if self._lifecycle.ended else self._snapshot()

    def facts(self) -> dict[str, str | int]:
        """What the log says of it."""
        return {
            "response_id": self.id,
            "status": status_name(self._lifecycle.status),
            "input_tokens": self._prompt_tokens,
            "cached_tokens": self._cached_tokens,
            "output_tokens": self._output_tokens,
        }

    def cut(self, ending: Ending) -> None:
        """Ends the generation within one step, with this ending unless it has one already."""
        if self._cut is None:
            self._cut = ending
            self._generation.abort()

    def leave(self) -> None:
        """Nobody will iterate `events` any more: a response that has not ended is cancelled, or ends as it was cut.
        Harmless if it has ended."""
        self._generation.abort()
        if not self._lifecycle.ended:
            if self._pump is not None:
                # It may wait for an engine that is stuck.
                self._pump.cancel()
            self._end(self._cut or Cancelled())

    async def events(self) -> AsyncGenerator[ResponseEvent, None]:
        """The events, as they happen; the last one comes after the final state was stored. Text that waits for the
        reader is one delta. The response goes on to its end whether or not it is read.

        Raises StoreError before the first event if the response could not be stored at all. Closing the generator, or
        cancelling its task, cancels the response, which is then stored as such.
        """
        try:
            await self._begin()
            self._told = self._lifecycle.start()
            self._news.set()
            pump = self._pump = self._background.start(self._run())
            pump.add_done_callback(lambda _: self._news.set())
            while self._told or not pump.done():
                await self._news.wait()
                self._news.clear()
                for event in self._take_told():
                    yield event
            pump.result()
        finally:
            # Nothing here may wait: a closed generator gets no chance to.
            self.leave()

    async def _begin(self) -> None:
        if self._recorder is None:
            return
        recorder = self._recorder
        try:
            await recorder.begin()
        except Exception:
            self._recorder = None
            raise

    async def _run(self) -> None:
        """From the engine to lifecycle and store, at the pace of the engine."""
        async for output in self._generation:
            self._take(output)
        last = await self._last_events()
        self._told += last

    def _take(self, output: Output) -> None:
        self._output_tokens += output.tokens
        self._cached_tokens = output.cached_tokens
        if output.text:
            self._waiting.append(output.text)
        if output.finish is not None:
            self._end(self._ending(output.finish))
        elif self._recorder is not None:
            self._recorder.progress(self._snapshot)
        self._news.set()

    def _take_told(self) -> list[ResponseEvent]:
        self._tell()
        told, self._told = self._told, []
        return told

    def _tell(self) -> None:
        # Merged before it is numbered: once told, a delta stays as it is.
        if self._waiting:
            self._told += self._lifecycle.text("".join(self._waiting))
            self._waiting.clear()

    def _snapshot(self) -> Response:
        self._tell()
        return self._lifecycle.snapshot()

    def _ending(self, finish: FinishReason) -> Ending:
        match finish:
            case FinishReason.STOP:
                return Completed(int(self._now()))
            case FinishReason.LENGTH:
                return LengthReached()
            case FinishReason.ABORTED:
                return self._cut or Cancelled()
            case FinishReason.FAILED:
                return MODEL_FAILED
            case FinishReason.STOPPED:
                return self._cut or STOPPED
            case _:
                assert_never(finish)

    def _end(self, ending: Ending) -> None:
        self._tell()
        self._told += self._lifecycle.end(ending, self._usage())
        if self._recorder is None:
            self._on_settled(self)
        else:
            self._stored = self._recorder.end(self._lifecycle.snapshot())
            self._stored.add_done_callback(lambda _: self._on_settled(self))

    async def _last_events(self) -> list[ResponseEvent]:
        if self._stored is None or await self._stored:
            return [self._lifecycle.last_event()]
        return [self._lifecycle.fail(NOT_STORED), self._lifecycle.last_event()]

    def _usage(self) -> Usage:
        return Usage(
            input_tokens=self._prompt_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=self._cached_tokens),
            output_tokens=self._output_tokens,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
            total_tokens=self._prompt_tokens + self._output_tokens,
        )
