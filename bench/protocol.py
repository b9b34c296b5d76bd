"""How the benchmark talks to an engine in a process of its own: one JSON object a line, over stdin and stdout.

The peer says `{"ready": NAME}`, then answers each `{"command": NAME, ...arguments}` with one object; the end of its
input ends it. Uses the standard library only: it runs in virtual environments that have nothing else of ours.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO

Command = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Stream:
    """One answer as whoever asked for it saw it; times in seconds since the requests were sent.

    first, last: arrival of the first and of the last token. end: when nothing more was to come.
    tokens: output tokens. cached: prompt tokens that were not computed again.
    """

    first: float
    last: float
    end: float
    tokens: int
    cached: int = 0


def encode_streams(streams: Iterable[Stream]) -> dict[str, Any]:
    return {"streams": [asdict(stream) for stream in streams]}


def decode_streams(answer: Mapping[str, Any]) -> list[Stream]:
    return [Stream(**stream) for stream in answer["streams"]]


def own_streams() -> tuple[TextIO, TextIO]:
    """stdin, and a stdout that only the protocol writes to: what libraries print goes to stderr from now on."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return sys.stdin, out


def serve(name: str, commands: Mapping[str, Command], lines: Iterable[str], out: TextIO) -> None:
    """Answers commands until the lines end. A command that raises is answered with `{"error": ...}`."""
    _say(out, {"ready": name})
    for line in lines:
        arguments = json.loads(line)
        _say(out, _answer(commands, arguments.pop("command"), arguments))


def _answer(commands: Mapping[str, Command], name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    if name not in commands:
        return {"error": f"no command is called {name!r}"}
    try:
        return commands[name](**arguments)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _say(out: TextIO, answer: Mapping[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()
