"""The served model: which one it is, how it is loaded, and what a loaded one can do for a request.

It knows no calls and no responses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from answerd.v1.model_pb2 import Model
from common.settings import Settings
from inference.chat import ChatTemplate, Segment
from inference.gguf.packaged import packaged_model
from inference.model import ModelDirectory
from inference.runner import Runner
from inference.stream import AsyncEngine
from inference.tokenizer import Tokenizer
from inference.types import MIN_ROOM, ModelFileError
from service.validate.request import DEFAULT_MODEL

OWNED_BY = "answerd"
# Below it, rendering and encoding take about a millisecond: less than a thread is worth.
LONG_TEXT = 4000
MANY_MESSAGES = 100

Progress = Callable[[float], None]
Precision = Literal["int4", "float16", "float32"]


@dataclass(frozen=True)
class LoadedModel:
    """What loading gives: the model directory, a warm runner over it, what each token id adds to a text, and in one
    sentence which provider runs it and why."""

    directory: ModelDirectory
    runner: Runner
    token_bytes: list[bytes]
    provider: str


class ServedModel:
    """A model that answers: a name, a tokenizer, a chat template and an engine that runs."""

    def __init__(
        self,
        name: str,
        created: int,
        context_length: int,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        engine: AsyncEngine,
    ) -> None:
        """created: seconds since 1970. context_length: tokens of prompt and answer together, of one slot."""
        self.name, self.created, self.context_length, self.engine = name, created, context_length, engine
        self.longest_prompt = context_length - MIN_ROOM
        self._tokenizer, self._template = tokenizer, template

    def card(self) -> Model:
        """The model as clients see it."""
        return Model(id=self.name, created=self.created, owned_by=OWNED_BY, context_length=self.context_length)

    async def prompt(self, messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """The token ids of a conversation, up to where the answer begins. Long ones are encoded on another thread.

        Raises TemplateError if the template refuses the messages, ContextLengthExceeded if they cannot fit.
        """
        if len(messages) > MANY_MESSAGES or sum(len(message["content"]) for message in messages) > LONG_TEXT:
            return await asyncio.to_thread(self._encode, messages)
        return self._encode(messages)

    def _encode(self, messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        segments: list[Segment] = self._template.render(messages)
        return self._tokenizer.encode(segments, limit=self.longest_prompt)


def load_model(settings: Settings, progress: Progress) -> LoadedModel:
    """Finds, if need be converts, and loads the model of the settings; takes seconds, with a conversion more.

    progress: called with the share done, from 0 to 1, only while a model is converted.
    Raises ModelFileError, and ProviderUnavailable for a provider asked for by name that does not work.
    """
    # ONNX Runtime takes a quarter of a second to import, which the port should not wait for.
    from inference.onnx.loading import load_runner
    from inference.onnx.provider import choose_provider

    provider = choose_provider(settings.provider)
    source = find_model(settings.model)
    if source.is_file():
        from inference.gguf.convert import ensure_converted

        source = ensure_converted(source, settings.cache_dir, _precision(settings, provider.is_cuda), progress)
    directory = ModelDirectory.open(source)
    runner = load_runner(
        directory.graph_path,
        directory.config,
        provider,
        threads=settings.threads,
        slots=settings.slots,
        context=settings.context,
    )
    token_bytes = directory.tokenizer.token_bytes()
    token_bytes += [b""] * (runner.vocab_size - len(token_bytes))
    report = f"{provider.name.removesuffix('ExecutionProvider')} ({provider.reason})"
    return LoadedModel(directory, runner, token_bytes, report)


def find_model(wanted: str | None) -> Path:
    """The file or directory of a model; None and `default` stand for the packaged one. Raises ModelFileError."""
    if wanted is None or wanted == DEFAULT_MODEL:
        return packaged_model()
    path = Path(wanted).expanduser()
    if path.is_dir() or path.is_file():
        return path
    raise ModelFileError(f"ANSWERD_MODEL is {wanted!r}, but there is no such file or directory.")


def serve(model: LoadedModel, queue_limit: int) -> ServedModel:
    """Starts an engine on the running event loop."""
    config = model.directory.config
    engine = AsyncEngine(model.runner, model.token_bytes, config.eos_token_ids, queue_limit=queue_limit)
    engine.start()
    created = config.created or int(model.directory.graph_path.stat().st_mtime)
    directory = model.directory
    name = config.name or directory.path.name
    return ServedModel(name, created, model.runner.max_length, directory.tokenizer, directory.template, engine)


def _precision(settings: Settings, is_cuda: bool) -> Precision:
    if settings.precision == "auto":
        return "float16" if is_cuda else "int4"
    return settings.precision
