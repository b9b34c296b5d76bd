"""What the contract knows and this server does not honour yet: one table, which README repeats.

A row goes when its parameter works. Refused is only what would change the answer: hints, null and the value without
effect pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.include_pb2 import Include
from service.errors import Reason
from service.validate.faults import Faults

Request = CreateResponseRequest
HONOURED_INCLUDES = frozenset(
    {
        Include.INCLUDE_MESSAGE_OUTPUT_TEXT_LOGPROBS,
        Include.INCLUDE_REASONING_ENCRYPTED_CONTENT,  # thoughts stand in `content` for all to read
    }
)


@dataclass(frozen=True, slots=True)
class NotYet:
    """A row. name: the JSON key; asked: the paths where a request asks for it."""

    name: str
    asked: Callable[[Request], Iterable[str]]


def _when(name: str, condition: Callable[[Request], bool]) -> NotYet:
    return NotYet(name, lambda request: [name] if condition(request) else [])


def _includes(request: Request) -> Iterable[str]:
    values = enumerate(request.include)
    return [f"include[{index}]" for index, value in values if value not in HONOURED_INCLUDES]


UNSUPPORTED: tuple[NotYet, ...] = (
    NotYet("include", _includes),
    _when("web_search_options", lambda request: request.HasField("web_search_options")),
)


def refusal(path: str) -> str:
    """The sentence for a path."""
    return f"Unsupported parameter: '{path}' is not supported with this value; leave it out."


def check_unsupported(request: Request, faults: Faults) -> None:
    """Adds a fault wherever a row is asked for, unless the same place has one already."""
    for row in UNSUPPORTED:
        for path in row.asked(request):
            faults.add(path, Reason.UNSUPPORTED_PARAMETER, refusal(path))
