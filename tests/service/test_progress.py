"""The progress of a conversion, on a terminal and elsewhere."""

import io

from service.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO) -> str:
    bar = ProgressBar("converting", stream)
    for step in range(1001):
        bar(step / 1000)
    return stream.getvalue()


def test_on_a_terminal_it_is_one_line_that_grows() -> None:
    text = shown(Terminal())
    assert text.count("\n") == 1
    assert text.startswith("\rconverting [")
    assert text.endswith("[" + "#" * 30 + "] 100 %\n")


def test_elsewhere_it_is_a_few_lines() -> None:
    assert shown(io.StringIO()).splitlines() == [f"converting: {percent} %" for percent in (0, 25, 50, 75, 100)]


def test_without_a_conversion_nothing_is_written() -> None:
    stream = Terminal()
    ProgressBar("converting", stream)
    assert stream.getvalue() == ""
