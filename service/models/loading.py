"""From settings to a model in memory, and from there to one that answers. It knows no calls and no responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from common.settings import Settings
from inference.model import ModelDirectory, precisions_for
from inference.options import DEFAULTS, EngineOptions
from inference.runner import Runner
from inference.stream import AsyncEngine
from service.models.served import ServedModel
from service.models.source import find_model

Progress = Callable[[float], None]


@dataclass(frozen=True)
class LoadedModel:
    """What loading gives: the model directory, a warm runner over it, what each token id adds to a text, in one
    sentence which provider runs it and why, and how its engine is to work."""

    directory: ModelDirectory
    runner: Runner
    token_bytes: list[bytes]
    provider: str
    options: EngineOptions = DEFAULTS


def load_model(settings: Settings, progress: Progress) -> LoadedModel:
    """Finds, if need be converts, and loads the model of the settings; takes seconds, with a conversion more.

    progress: called with the share done, from 0 to 1, only while a model is converted.
    Raises ModelFileError, and ProviderUnavailable for a provider asked for by name that does not work.
    """
    # ONNX Runtime takes a quarter of a second to import, which the port should not wait for.
    from inference.onnx.loading import load_runner
    from inference.onnx.provider import choose_provider

    provider = choose_provider(settings.provider)
    precisions = precisions_for(settings.precision, is_cuda=provider.is_cuda)
    source = find_model(settings.model)
    if source.is_file():
        from inference.gguf.convert import ensure_converted

        source = ensure_converted(source, settings.cache_dir, precisions[0], progress)
    directory = ModelDirectory.open(source, precisions)
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
    options = EngineOptions(deterministic=settings.deterministic)
    return LoadedModel(directory, runner, token_bytes, report, options)


def serve(model: LoadedModel, queue_limit: int) -> ServedModel:
    """Starts an engine on the running event loop."""
    config = model.directory.config
    engine = AsyncEngine(
        model.runner, model.token_bytes, config.eos_token_ids, queue_limit=queue_limit, options=model.options
    )
    engine.start()
    created = config.created or int(model.directory.graph_path.stat().st_mtime)
    directory = model.directory
    name = config.name or directory.path.name
    return ServedModel(name, created, model.runner.max_length, directory.tokenizer, directory.template, engine)
