"""Several scripted models for one service, whose loading a test can look at, hold and break."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from inference.fakes import ScriptedRunner
from inference.types import ModelFileError
from service.models.loading import LoadedModel, PreparedModel, Report
from service.models.spec import ModelSpec
from tests.service.scripted_model import CHATML, END, TOKENIZER, WAIT, Gate, decode, encode, scripted


@dataclass
class Shelf:
    """Prepares a model of any name; its answer to everything is its name.

    loads: the names of what was loaded, in order. broken: names that cannot be. sizes: bytes by name, 10 where none
    are said; expected: what is said before the load, where that differs. holding: names whose load waits until
    `let_go`. gates: of the engine of each name.
    """

    loads: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    holding: set[str] = field(default_factory=set)
    gates: dict[str, Gate] = field(default_factory=dict)
    held: threading.Event = field(default_factory=threading.Event)
    seen: dict[str, threading.Event] = field(default_factory=dict)
    prompts: list[str] = field(default_factory=list)

    def __call__(self, spec: ModelSpec, report: Report) -> PreparedModel:
        name = spec.name or "scripted"
        self._event(f"preparing {name}").set()
        size = self.sizes.get(name, 10)
        return PreparedModel(self.expected.get(name, size), lambda: self._load(spec, name, size))

    def let_go(self) -> None:
        self.held.set()

    async def until_preparing(self, name: str) -> None:
        assert await asyncio.to_thread(self._event(f"preparing {name}").wait, WAIT)

    async def until_loading(self, name: str) -> None:
        assert await asyncio.to_thread(self._event(f"loading {name}").wait, WAIT)

    def gate(self, name: str) -> Gate:
        return self.gates.setdefault(name, Gate())

    def _event(self, name: str) -> threading.Event:
        return self.seen.setdefault(name, threading.Event())

    def _load(self, spec: ModelSpec, name: str, size: int) -> LoadedModel:
        self.loads.append(name)
        self._event(f"loading {name}").set()
        if name in self.holding:
            assert self.held.wait(WAIT), "the test forgot to let go"
        if name in self.broken:
            raise ModelFileError(f"{name} is broken.")

        def reply(prompt: tuple[int, ...]) -> Sequence[int]:
            self.prompts.append(decode(prompt))
            return encode(name)

        vocabulary = TOKENIZER.vocab_size
        runner = ScriptedRunner(spec.slots, spec.context, vocabulary, reply=reply, end_token=END, gate=self.gate(name))
        return scripted(runner, name, CHATML.replace("assistant", f"assistant {name}"), size)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
