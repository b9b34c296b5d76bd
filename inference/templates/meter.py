"""What one rendering may cost. It counts what it is told of; who tells it stands elsewhere.

Each operation is checked for its size before it runs, so none takes long, and between two of them the time is looked
at. Together that bounds a rendering's time and memory whatever the template does.
"""

import time
from collections.abc import Callable

from inference.templates.errors import stopped, too_large

MAX_ROUNDS = 250_000  # loop rounds and macro calls
MAX_SECONDS = 2.0  # of this thread's processor time: an ordinary rendering takes milliseconds
# So many, and so many times the characters that the template is given:
TEXT = (2 * 1024 * 1024, 4)  # characters of one text
NODES = (200_000, 1)  # values within one value, each counted wherever it is reached
TOTAL = (64 * 1024 * 1024, 32)  # characters and values of all that is made on the way
_LOOK = 16  # operations between two looks at the clock


class Meter:
    """Counts one rendering. given: characters of its variables. clock: seconds of processor time of this thread."""

    def __init__(
        self, given: int = 0, seconds: float = MAX_SECONDS, clock: Callable[[], float] = time.thread_time
    ) -> None:
        self.longest_text = TEXT[0] + TEXT[1] * given
        self.most_nodes = NODES[0] + NODES[1] * given
        self._total = TOTAL[0] + TOTAL[1] * given
        self._clock = clock
        self._seconds = seconds
        self._deadline = clock() + seconds
        self._operations = self._rounds = self._made = 0

    def round(self) -> None:
        """One loop round or macro call. Raises TemplateError if there were too many."""
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise stopped(f"it runs through more than {MAX_ROUNDS} loop rounds")
        self.tick()

    def tick(self, made: int = 0) -> None:
        """One operation, which made so many characters or values. Raises TemplateError where a bound is reached."""
        self._operations += 1
        self._made += made
        if self._made > self._total:
            raise too_large()
        if (self._operations % _LOOK == 0 or made > self.longest_text // _LOOK) and self._clock() > self._deadline:
            raise stopped(f"it takes more than {self._seconds:g} seconds")

    def expect(self, size: float) -> None:
        """Before a text or list of this size, or up to it, is made. Raises TemplateError if that is too large."""
        if size > self.longest_text:
            raise too_large()
