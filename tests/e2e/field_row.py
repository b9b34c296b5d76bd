"""What becomes of a field of a request, as a row says it: honoured, echoed, refused by name, or taken as a hint.

It knows the JSON of requests and of responses, not how they travel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.response_pb2 import Response

Json = dict[str, Any]
Effect = Callable[[Json], object]
# The keys of a response that repeat those of a request.
ECHOED = {*Response.DESCRIPTOR.fields_by_name} & {*CreateResponseRequest.DESCRIPTOR.fields_by_name}


@dataclass(frozen=True)
class Row:
    """A field with an example value.

    name: its path, after which a remark may tell several rows of one field apart. says: the part of the body that sets
    it. beside: what the request says with and without it. effect: what it changes of the response. idle: it changes
    neither prompt nor answer. hint: for that it is told of in README. echoed: paths of the response and their values.
    refused: the code and the `param` of its refusal. shown: the tests that show what one response cannot.
    """

    name: str
    says: Json
    beside: Json = field(default_factory=dict)
    effect: Effect | None = None
    idle: bool = False
    hint: bool = False
    echoed: Mapping[str, object] = field(default_factory=dict)
    refused: tuple[str, str] | None = None
    shown: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return _path(self.name)

    @property
    def key(self) -> str:
        """The key of the body."""
        return self.path.split(".")[0]


def honoured(name: str, value: object, effect: Effect | None = None, echo: object = None, **beside: object) -> Row:
    """It changes the response (its text, unless told otherwise), and is echoed where the response has the key."""
    return Row(name, _body(name, value), beside, effect or text, echoed=_echo(name, echo or value))


def echoed(name: str, value: object) -> Row:
    """The response repeats it, and it does nothing else."""
    return Row(name, _body(name, value), idle=True, echoed={_path(name): value})


def hint(name: str, value: object, echo: object = None) -> Row:
    """It asks for what this server has one way of doing, and is echoed where the response has the key."""
    return Row(name, _body(name, value), idle=True, hint=True, echoed=_echo(name, echo or value))


def quiet(name: str, value: object) -> Row:
    """It asks for what is so anyway, and would be refused with another value."""
    return Row(name, _body(name, value), idle=True)


def shown(name: str, value: object, *tests: str, echo: object = None, **beside: object) -> Row:
    """What it does is seen elsewhere; here it is taken, and echoed where the response has the key."""
    return Row(name, _body(name, value), beside, echoed=_echo(name, echo or value), shown=tests)


def refused(name: str, value: object, code: str = "unsupported_parameter", param: str = "", *tests: str) -> Row:
    """tests: where another value is honoured."""
    return Row(name, _body(name, value), refused=(code, param or _path(name)), shown=tests)


def _path(name: str) -> str:
    return name.partition(" ")[0]


def _body(name: str, value: object) -> Json:
    key, *inner = _path(name).split(".")
    for outer in reversed(inner):
        value = {outer: value}
    return {key: value}


def _echo(name: str, value: object) -> Json:
    return {_path(name): value} if _path(name).split(".")[0] in ECHOED else {}


def text(response: Json) -> str:
    return "".join(part["text"] for item in response["output"] for part in item.get("content", ()))


def prompt(response: Json) -> int:
    """How many tokens were read."""
    count: int = response["usage"]["input_tokens"]
    return count


def messages(response: Json) -> int:
    return len(response["output"])


def logprobs(response: Json) -> list[int]:
    """How many alternatives stand beside each token."""
    return [len(each["top_logprobs"]) for each in response["output"][0]["content"][0]["logprobs"]]


def unfinished(response: Json) -> bool:
    return response["status"] in ("queued", "in_progress")
