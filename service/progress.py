"""How far a conversion is, for whoever started it: a bar on a terminal, a line now and then elsewhere."""

from typing import TextIO

_WIDTH = 30
_LINES = 4  # elsewhere, for a whole conversion


class ProgressBar:
    """Called with the share that is done, from 0 to 1; writes nothing before the first call."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title, self._stream = title, stream
        self._terminal = stream.isatty()
        self._shown = -1

    def __call__(self, share: float) -> None:
        steps = 100 if self._terminal else _LINES
        done = int(share * steps)
        if done == self._shown:
            return
        self._shown = done
        percent = 100 * done // steps
        if self._terminal:
            bar = "#" * (_WIDTH * done // steps)
            end = "\n" if share >= 1 else ""
            self._stream.write(f"\r{self._title} [{bar:<{_WIDTH}}] {percent:3d} %{end}")
        else:
            self._stream.write(f"{self._title}: {percent} %\n")
        self._stream.flush()
