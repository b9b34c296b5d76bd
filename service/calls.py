"""The call that the current task serves: whose it is, its request id, and what its log line shall say."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Call:
    """One RPC while it is served. owner: who pays for it; empty where no key is asked for."""

    method: str
    request_id: str
    owner: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    def note(self, **values: Any) -> None:
        """Adds fields to the call's one log line; no prompts, no answers."""
        self.notes.update(values)


_current: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    """The call of this task. Raises LookupError outside of one."""
    return _current.get()


def enter_call(call: Call) -> None:
    """Makes it the call of this task, for the rest of the task: gRPC serves each call in a task of its own."""
    _current.set(call)
