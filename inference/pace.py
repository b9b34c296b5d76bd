"""When outputs are handed over: at once what somebody waits for, everything else at most so often."""

from collections.abc import Callable, Sequence

from inference.types import Output


class Pace:
    """interval: seconds from one hand-over to the next. clock: seconds.

    Each hand-over wakes the event loop, and each output becomes a message of its own on the way to its reader, on the
    cores that compute the next step. Nobody reads text that comes more often than an eye can follow.
    """

    def __init__(self, interval: float, clock: Callable[[], float]) -> None:
        self._interval, self._clock = interval, clock
        self._begun: set[str] = set()  # requests whose first token was handed over
        self._last = float("-inf")

    def is_due(self, outputs: Sequence[tuple[str, Output]]) -> bool:
        """Whether to hand these over now. If so, they count as handed over."""
        now = self._clock()
        if now - self._last < self._interval and not any(self._is_awaited(*each) for each in outputs):
            return False
        self._last = now
        for request_id, output in outputs:
            if output.finish is not None:
                self._begun.discard(request_id)
            elif output.tokens:
                self._begun.add(request_id)
        return True

    def _is_awaited(self, request_id: str, output: Output) -> bool:
        """The news that a prompt is being read, a first token or an end."""
        return output.finish is not None or not output.tokens or request_id not in self._begun
