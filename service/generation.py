"""One response from its admission to its end, and all those that run now.

Here the engine's outputs meet the lifecycle's events and the store's writes. It knows no gRPC: a caller that leaves is
a generator that is closed.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import assert_never

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response
from answerd.v1.usage_pb2 import InputTokensDetails, OutputTokensDetails, Usage
from inference.stream import Generation
from inference.types import FinishReason, Output
from service.lifecycle import Cancelled, Completed, Ending, Failed, LengthReached, Lifecycle
from service.recorder import Recorder, status_name

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
        now: Callable[[], float],
    ) -> None:
        """response: as admitted. recorder: None if the response is not to be stored. now: seconds since 1970."""
        self.id, self.owner = response.id, owner
        self._lifecycle = Lifecycle(response, item_id)
        self._generation = generation
        self._prompt_tokens = prompt_tokens
        self._recorder = recorder
        self._now = now
        self._output_tokens = self._cached_tokens = 0
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
        return None if self._lifecycle.ended else self._lifecycle.snapshot()

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
            self._end(self._cut or Cancelled())

    async def events(self) -> AsyncGenerator[ResponseEvent, None]:
        """The events, as they happen; the last one comes after the final state was stored.

        Raises StoreError before the first event if the response could not be stored at all. Closing the generator, or
        cancelling its task, cancels the response, which is then stored as such.
        """
        try:
            await self._begin()
            for event in self._lifecycle.start():
                yield event
            async for output in self._generation:
                for event in self._take(output):
                    yield event
            for event in await self._last_events():
                yield event
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

    def _take(self, output: Output) -> list[ResponseEvent]:
        self._output_tokens += output.tokens
        self._cached_tokens = output.cached_tokens
        events = self._lifecycle.text(output.text) if output.text else []
        if output.finish is not None:
            # Ended before anything of it is sent: a reader who takes long does not hold up the store.
            return events + self._end(self._ending(output.finish))
        if self._recorder is not None:
            self._recorder.progress(self._lifecycle.snapshot)
        return events

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

    def _end(self, ending: Ending) -> list[ResponseEvent]:
        events = self._lifecycle.end(ending, self._usage())
        if self._recorder is None:
            self._on_settled(self)
        else:
            self._stored = self._recorder.end(self._lifecycle.snapshot())
            self._stored.add_done_callback(lambda _: self._on_settled(self))
        return events

    async def _last_events(self) -> list[ResponseEvent]:
        if self._stored is None or await asyncio.shield(self._stored):
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
