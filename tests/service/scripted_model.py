"""A scripted model as the service knows models: it answers by the question, and stops when the test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from inference.chat import ChatTemplate
from inference.fakes import ScriptedRunner
from inference.model import GraphNames, ModelConfig, ModelDirectory
from inference.options import EngineOptions
from inference.tokenizer import Tokenizer
from service.models.loading import LoadedModel
from service.models.spec import ModelSpec
from tests.inference.tiny_tokenizer import tiny_tokenizer

WAIT = 20.0  # seconds until a test that waits for nothing fails
MODEL = "scripted"
ONE_BY_ONE = EngineOptions(speculation=False)  # scripts repeat themselves, and tests count their calls
BEGIN, END = 1, 2  # the control tokens around a turn
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOKENIZER = Tokenizer(tiny_tokenizer())
TOKEN_BYTES = TOKENIZER.token_bytes()


def scripted(runner: ScriptedRunner, name: str = MODEL, template: str = CHATML, memory: int = 0) -> LoadedModel:
    """A model of this tokenizer that was loaded. memory: bytes that it says it takes."""
    config = ModelConfig(
        name=name,
        type="llama",
        vocab_size=TOKENIZER.vocab_size,
        context_length=runner.max_length,
        num_layers=1,
        num_heads=1,
        num_kv_heads=1,
        head_size=1,
        hidden_size=1,
        eos_token_id=END,
        eos_token_ids=frozenset({END}),
        graph=GraphNames("model.onnx", {}, {}),
        created=1_600_000_000,
    )
    directory = ModelDirectory(Path(name), config, TOKENIZER, ChatTemplate(template))
    return LoadedModel(directory, runner, TOKEN_BYTES, "a script (for tests)", memory, ONE_BY_ONE)


def a_spec(name: str | None = None, context: int = 512, slots: int = 4, at_start: bool = False) -> ModelSpec:
    return ModelSpec(name, None, "auto", context, slots, at_start, "ANSWERD_MODEL")


def encode(text: str) -> tuple[int, ...]:
    return TOKENIZER.encode([(text, False)])


def decode(tokens: tuple[int, ...]) -> str:
    return b"".join(TOKEN_BYTES[token] for token in tokens).decode()


class Script:
    """Answers by the last user message; `prompts` are the texts of all prompts, in the order they were first seen."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = {f"user\n{question}": encode(answer) for question, answer in answers.items()}
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}
        self.prompts: list[str] = []

    def __call__(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        if prompt not in self._known:
            self.prompts.append(decode(prompt))
            # What the model was asked last: the turn before the one that begins the answer.
            begins = [place for place, token in enumerate(prompt) if token == BEGIN]
            question = decode(prompt[begins[-2] : begins[-1]]).rstrip("\n")
            self._known[prompt] = self._answers.get(question, encode("?"))
        return self._known[prompt]


class Gate:
    """Holds the engine's thread before a call of the runner, or makes the call fail.

    `hold_after(n)` lets n more decode calls through, `open` all of them. `fail` is asked before each call.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._permits: int | None = None
        self.fail: Callable[[str], bool] = lambda name: False

    def hold_after(self, decodes: int) -> None:
        self._set(decodes)

    def open(self) -> None:
        self._set(None)

    def __call__(self, name: str, number: int) -> None:
        if self.fail(name):
            raise RuntimeError("the test made this call fail")
        if name != "decode":
            return
        with self._changed:
            assert self._changed.wait_for(lambda: self._permits != 0, WAIT), "the test forgot to open the gate"
            if self._permits is not None:
                self._permits -= 1

    def _set(self, permits: int | None) -> None:
        with self._changed:
            self._permits = permits
            self._changed.notify_all()


class Clock:
    """A clock that goes when it is told to. A pause takes no time; `meanwhile` is called in it."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.pauses: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.meanwhile()

    def __call__(self) -> float:
        return self.now
