"""The thread that owns the model: takes commands from one queue, steps, hands the outputs over.

It knows neither who submits nor who listens; `inference.stream` puts it under an event loop.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from inference.core import EngineCore
from inference.options import DEFAULTS, EngineOptions
from inference.pace import Pace
from inference.runner import Runner
from inference.types import (
    MIN_ROOM,
    ContextLengthExceeded,
    EngineStats,
    EngineStopped,
    FinishReason,
    GenerationRequest,
    Output,
)

Outputs = list[tuple[str, Output]]
BROKE = "The engine broke and has to be started again."
Deliver = Callable[[Outputs, EngineStats], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submit:
    requests: tuple[GenerationRequest, ...]


@dataclass(frozen=True, slots=True)
class Abort:
    request_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    pass


class Engine:
    """Runs requests together on one model. Each accepted request gets exactly one output with a finish.

    token_bytes: what each token id adds to the text, b"" for special tokens. end_tokens: ids that end an answer.
    deliver: called on the engine's thread after a step, or after some of them if the options have an interval, with
    (request id, output) pairs and the state; it must not block. The runner is used, and closed in the end, by the
    engine's thread alone.
    """

    def __init__(
        self,
        runner: Runner,
        token_bytes: Sequence[bytes],
        end_tokens: frozenset[int],
        deliver: Deliver,
        options: EngineOptions = DEFAULTS,
    ) -> None:
        self._runner = runner
        self._core = EngineCore(runner, token_bytes, end_tokens, options)
        self._deliver = deliver
        self._pace = Pace(options.interval, perf_counter)
        self._longest_prompt = runner.max_length - MIN_ROOM
        self._commands: queue.SimpleQueue[Submit | Abort | Stop] = queue.SimpleQueue()
        # Held for the moment between "is it open?" and the put, so that no request follows the last look.
        self._door = threading.Lock()
        self._open = True
        self._stats = self._core.stats
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)

    @property
    def stats(self) -> EngineStats:
        """The state after the last step; from any thread."""
        return self._stats

    @property
    def slots(self) -> int:
        return self._runner.slots

    def start(self) -> None:
        self._thread.start()

    def submit(self, *requests: GenerationRequest) -> None:
        """Queue requests with one prompt; from any thread, without a bound on how many wait. Each is served and ends by
        itself, but the prompt is computed once.

        Raises ContextLengthExceeded where the prompt leaves no two positions of its slot free, and EngineStopped.
        """
        prompt = requests[0].prompt
        assert prompt, "a prompt has at least one token"
        assert all(request.prompt == prompt for request in requests), "requests of one call have one prompt"
        if len(prompt) > self._longest_prompt:
            raise ContextLengthExceeded(len(prompt), self._longest_prompt)
        with self._door:
            if not self._open:
                raise EngineStopped("The engine was shut down.")
            self._commands.put(Submit(requests))

    def abort(self, request_id: str) -> None:
        """End a request before the next step; from any thread. Nothing happens if it has ended."""
        self._commands.put(Abort(request_id))

    def stop(self) -> None:
        """Refuse requests from now on, and end what lives with STOPPED after the current step; returns at once."""
        with self._door:
            self._open = False
            self._commands.put(Stop())

    def close(self) -> None:
        """Stop, and wait until everything has ended and the runner is closed."""
        self.stop()
        if self._thread.ident is None:  # a thread that never ran still has its end to make
            self._thread.start()
        self._thread.join()

    def _main(self) -> None:
        finish, failure, broken = FinishReason.STOPPED, "The engine was shut down.", False
        try:
            while self._take_commands():
                if self._core.busy:
                    self._core.step()
                if self._pace.is_due(self._core.outputs) or not self._core.busy:
                    self._hand_over(self._core.stats)
        except Exception:
            logger.exception("the engine broke; every request that lives ends")
            finish, failure, broken = FinishReason.FAILED, BROKE, True
        finally:
            self._end(finish, failure, broken)

    def _take_commands(self) -> bool:
        """Do what others asked for, waiting for it while there is nothing else to do; False to stop."""
        command = self._next_command(wait=not self._core.busy)
        while command is not None:
            if isinstance(command, Stop):
                return False
            self._obey(command)
            command = self._next_command(wait=False)
        return True

    def _next_command(self, wait: bool) -> Submit | Abort | Stop | None:
        try:
            return self._commands.get(block=wait)
        except queue.Empty:
            return None

    def _obey(self, command: Submit | Abort) -> None:
        if isinstance(command, Abort):
            self._core.abort(command.request_id)
        else:
            self._core.add(*command.requests)

    def _hand_over(self, stats: EngineStats) -> None:
        self._stats = stats
        self._deliver(self._core.outputs, stats)
        self._core.outputs = []

    def _end(self, finish: FinishReason, failure: str, broken: bool) -> None:
        with self._door:
            self._open = False
        while (command := self._next_command(wait=False)) is not None:
            if isinstance(command, Submit):
                self._core.add(*command.requests)
        self._core.end_all(finish)
        stats = replace(self._core.stats, running=0, waiting=0, idle_slots=0, failure=failure, broken=broken)
        self._last_act(lambda: self._hand_over(stats))
        self._last_act(self._runner.close)

    def _last_act(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            logger.exception("the engine's end was not clean")
