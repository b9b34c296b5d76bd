"""One response from its admission to its end, and all those that run now.

Here the engine's outputs meet the lifecycle's events and the store's writes, in tasks of their own: a reader who is
slow, or stands still, delays neither. It knows no gRPC: a caller that leaves is a generator that is closed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import assert_never

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response
from answerd.v1.usage_pb2 import InputTokensDetails, OutputTokensDetails, Usage
from common.logging import get_logger
from inference.types import FinishReason, Output
from service.background import Background
from service.choice import Choice
from service.event_log import EventLog
from service.lifecycle import Cancelled, Completed, Ending, Failed, LengthReached, Lifecycle
from service.logprobs import TokenBytes, wire_logprobs
from service.recorder import Recorder
from service.status import status_name
from service.store import AnsweredKey

STOPPED = Failed("unavailable", "the server was stopped")
MODEL_FAILED = Failed("model_error", "The model failed while it generated this response.")
NOT_STORED = Failed("store_unavailable", "The response could not be stored, although it was to be kept.")
BROKEN = Failed("server_error", "Internal error")

log = get_logger("service.generation")


class RunningResponse:
    """One response while it runs, from `begin` to its end.

    It goes on while somebody iterates `events`; in the background, and with an idempotency key, whether or not. Those
    who `follow` it see the same events and change nothing.
    """

    def __init__(
        self,
        owner: str,
        response: Response,
        choices: Sequence[Choice],
        prompt_tokens: int,
        bytes_of: TokenBytes,
        recorder: Recorder | None,
        background: Background,
        now: Callable[[], float],
        key: AnsweredKey | None = None,
    ) -> None:
        """response: as admitted. bytes_of: what a token id reads as. recorder: None if it is not to be stored.
        background: carries the response on while nobody reads. now: seconds since 1970. key: the idempotency key that
        it answers."""
        self.id, self.owner = response.id, owner
        self.key, self.is_background, self._is_visible = key, response.background, response.store
        self._lifecycle = Lifecycle(response, len(choices))
        self._choices = choices
        self._prompt_tokens, self._bytes_of = prompt_tokens, bytes_of
        self._recorder = recorder
        self._background, self._now = background, now
        self._log = EventLog(self._tell)
        self._pump: asyncio.Task[None] | None = None
        self._callers = 0
        self._left = False
        self._cut: Ending | None = None
        self._on_settled: Callable[[RunningResponse], None] = lambda _: None

    @property
    def is_kept(self) -> bool:
        """Whether others can get it by its id."""
        return self.is_written and self._is_visible

    @property
    def is_written(self) -> bool:
        """Whether the store has it, be it hidden."""
        return self._recorder is not None

    @property
    def outlives_callers(self) -> bool:
        """Whether it goes on when nobody waits for it. One with a key does: whoever lost the connection repeats the
        request and gets the answer. A caller that cancels cannot be told from one that was cut off."""
        return self.is_background or self.key is not None

    def on_settled(self, callback: Callable[["RunningResponse"], None]) -> None:
        """What to call once, when the response has ended and its last write is over."""
        self._on_settled = callback

    async def snapshot(self) -> Response | None:
        """The response as it stands. None if it has ended, once that is stored: then the store has the truth."""
        if not self._lifecycle.ended:
            return self._snapshot()
        await self._log.closed()
        return None

    def facts(self) -> dict[str, str | int]:
        """What the log says of it."""
        return {
            "response_id": self.id,
            "status": status_name(self._lifecycle.status),
            "input_tokens": self._prompt_tokens,
            "cached_tokens": self._cached_tokens,
            "output_tokens": self._output_tokens,
        }

    @property
    def _cached_tokens(self) -> int:
        """The prompt is computed once, for the first choice; that the others found it is no merit."""
        return self._choices[0].cached_tokens

    @property
    def _output_tokens(self) -> int:
        return sum(choice.tokens for choice in self._choices)

    def cut(self, ending: Ending) -> None:
        """Ends the generation within one step, with this ending unless it has one already."""
        if self._cut is None:
            self._cut = ending
            self._abort()

    def discard(self) -> None:
        """Its record is gone: nothing more is written, nobody gets it by its id, and it is cancelled."""
        self._recorder = None
        self.cut(Cancelled())

    def leave(self) -> None:
        """Nobody carries the response on any more: if it has not ended it is cancelled, or ends as it was cut.
        Harmless if it has ended."""
        self._left = True
        self._abort()
        # While it is being created, it ends when that is over.
        if self._pump is not None and not self._lifecycle.ended:
            # It may wait for an engine that is stuck.
            self._pump.cancel()
            self._end(self._cut or Cancelled())

    async def cancel(self) -> Response:
        """Ends it as cancelled, unless it has ended otherwise; the response in its final state, which is stored."""
        self.cut(Cancelled())
        await self._log.closed()
        return self._lifecycle.snapshot()

    def begin(self) -> None:
        """Stores the response and carries it on to its end. To be called once, at its admission."""
        self._background.start(self._create())

    async def events(self) -> AsyncGenerator[ResponseEvent, None]:
        """All events, for a caller whose response this is: when the last of them closes the generator, or their task
        is cancelled, the response is cancelled and stored as such, unless it has ended or outlives its callers.

        Raises StoreError before the first event if the response could not be stored at all.
        """
        self._callers += 1
        try:
            async for event in self.follow():
                yield event
        finally:
            # Nothing here may wait: a closed generator gets no chance to.
            self._callers -= 1
            if not self._callers and not self.outlives_callers:
                self.leave()

    def follow(self, after: int = -1) -> AsyncIterator[ResponseEvent]:
        """The events numbered above `after`, as they happen; the last one comes after the final state was stored. Text
        that waits for its readers is one delta. Raises what `events` raises."""
        return self._log.read(after)

    async def _create(self) -> None:
        first = self._lifecycle.start()
        if self._recorder is not None:
            try:
                await self._recorder.begin(first)
            except Exception as error:
                self._refuse(error)
                return
        self._log.append(first)
        self._pump = self._background.start(self._run())
        if self._left:
            self.leave()

    def _refuse(self, error: Exception) -> None:
        self._recorder = None
        self._abort()
        self._lifecycle.end(Cancelled(), self._usage())
        self._log.close(error)
        self._on_settled(self)

    async def _run(self) -> None:
        """From the engine to lifecycle and store, at the pace of the engine."""
        try:
            await asyncio.gather(*map(self._read, range(len(self._choices))))
        except Exception:
            log.exception("a response was broken off", response_id=self.id)
            if not self._lifecycle.ended:
                self._break_off(BROKEN)

    async def _read(self, index: int) -> None:
        async for output in self._choices[index].generation:
            if not self._lifecycle.ended:
                self._take(index, output)

    def _take(self, index: int, output: Output) -> None:
        if output.finish is None or output.tokens:  # else it ended before it began
            self._log.append(self._lifecycle.begin())
        self._choices[index].take(output)
        if output.finish is not None:
            self._finish(output.finish)
        elif self._recorder is not None:
            self._recorder.progress(self._tell, self._log.events)
        self._log.wake()

    def _finish(self, finish: FinishReason) -> None:
        """The response goes on until the last choice has ended, or one of them was broken off."""
        match finish:
            case FinishReason.STOP | FinishReason.LENGTH:
                self._tell()
                finishes = [choice.finish for choice in self._choices]
                if None not in finishes:
                    cut_off = FinishReason.LENGTH in finishes
                    self._end(LengthReached() if cut_off else Completed(int(self._now())))
            case FinishReason.ABORTED:
                self._break_off(self._cut or Cancelled())
            case FinishReason.FAILED:
                self._break_off(MODEL_FAILED)
            case FinishReason.STOPPED:
                self._break_off(self._cut or STOPPED)
            case _:
                assert_never(finish)

    def _break_off(self, ending: Ending) -> None:
        self._abort()
        self._end(ending)

    def _abort(self) -> None:
        for choice in self._choices:
            choice.generation.abort()

    def _tell(self, *, broken_off: bool = False) -> None:
        # Merged before it is numbered: once told, a delta stays as it is.
        for index, choice in enumerate(self._choices):
            if not (broken_off or self._lifecycle.is_next(index)):
                break
            for piece, logprobs in choice.waiting():
                self._log.append(self._lifecycle.take(piece, wire_logprobs(logprobs, self._bytes_of), index))
            if choice.finish in (FinishReason.STOP, FinishReason.LENGTH):
                self._log.append(self._lifecycle.close(index, whole=choice.finish is FinishReason.STOP))

    def _snapshot(self) -> Response:
        self._tell()
        return self._lifecycle.snapshot()

    def _end(self, ending: Ending) -> None:
        self._tell(broken_off=isinstance(ending, Failed | Cancelled))
        self._log.append(self._lifecycle.end(ending, self._usage()))
        self._background.start(self._conclude())

    async def _conclude(self) -> None:
        if self._recorder is not None:
            stored = await self._recorder.end(self._lifecycle.snapshot(), self._log.events)
            if not stored:
                self._log.append([self._lifecycle.fail(NOT_STORED)])
        self._log.append([self._lifecycle.last_event()])
        self._log.close()
        self._on_settled(self)

    def _usage(self) -> Usage:
        return Usage(
            input_tokens=self._prompt_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=self._cached_tokens),
            output_tokens=self._output_tokens,
            output_tokens_details=OutputTokensDetails(
                reasoning_tokens=sum(choice.reasoning_tokens for choice in self._choices)
            ),
            total_tokens=self._prompt_tokens + self._output_tokens,
        )
