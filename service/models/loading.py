"""From a source to a model in memory, and from there to one that answers. It knows no calls and no responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.settings import Settings
from inference.costs import costs_with
from inference.grammar.compiler import GrammarCompiler
from inference.grammar.vocabulary import Vocabulary
from inference.model import ModelDirectory, precisions_for
from inference.options import DEFAULTS, EngineOptions
from inference.runner import Runner
from inference.stream import AsyncEngine
from inference.types import ModelFileError
from service.models.grammars import Grammars
from service.models.hub.fetch import Fetcher
from service.models.kernels import Kernels
from service.models.memory import memory_limit, resident
from service.models.need import Need, no_room
from service.models.served import ServedModel
from service.models.source import find_model, hub_name
from service.models.spec import ModelSpec
from service.output.parser import TAGS

if TYPE_CHECKING:  # ONNX Runtime takes a quarter of a second to import, which the port should not wait for
    from inference.onnx.provider import Provider

Progress = Callable[[float], None]
"""Called with the share done, from 0 to 1."""
Report = Callable[[str], Progress]
"""Called with what begins now, as in `converting the model`."""


@dataclass(frozen=True)
class LoadedModel:
    """What loading gives: the model directory, a warm runner over it, what each token id adds to a text, in one
    sentence which provider runs it and why, how many bytes it takes (what was measured, and its whole cache), how its
    engine is to work, and a sentence about memory that may become short."""

    directory: ModelDirectory
    runner: Runner
    token_bytes: list[bytes]
    provider: str
    memory: int = 0
    options: EngineOptions = DEFAULTS
    shortage: str | None = None


@dataclass(frozen=True)
class PreparedModel:
    """A model whose files are in place. needs: the bytes that it will take, weights and cache. load: takes a second
    or more; raises ModelFileError."""

    needs: int
    load: Callable[[], LoadedModel]


Prepare = Callable[[ModelSpec, Report], PreparedModel]


def prepare_model(
    spec: ModelSpec, settings: Settings, report: Report, memory: Callable[[], int] = memory_limit
) -> PreparedModel:
    """Finds and if need be fetches or converts a model: at once, or in minutes.

    memory: how many bytes this process may have. Raises ModelFileError, also for a model that is larger, and
    ProviderUnavailable for a provider asked for by name that does not work.
    """
    from inference.onnx.provider import choose_provider
    from inference.onnx.trial import ensure_tried

    provider = choose_provider(settings.provider)
    precisions = precisions_for(spec.precision, is_cuda=provider.is_cuda)
    records = settings.cache_dir / "hub"
    source = find_model(spec, Fetcher(records, precisions, provider.is_cuda, report))
    kernels = Kernels.find(settings, provider)
    if source.is_file():
        from inference.gguf.convert import KERNEL_PRECISIONS, ensure_converted

        converting = report("converting the model")
        own = kernels.operators is not None and precisions[0] in KERNEL_PRECISIONS
        source = ensure_converted(source, settings.cache_dir, precisions[0], converting, kernels=own)
    directory = ModelDirectory.open(source, precisions, name.name if (name := hub_name(spec)) else None)
    kernels.check(directory)
    limit = memory()
    Need.of(directory, spec, limit).check(spec)  # the trial loads the weights, too
    number_size = ensure_tried(directory.graph_path, directory.config, provider, settings.cache_dir, kernels.operators)
    need = Need.of(directory, spec, limit, number_size)
    need.check(spec)
    return PreparedModel(need.total(), lambda: _load(spec, settings, directory, provider, kernels, need))


def _load(
    spec: ModelSpec, settings: Settings, directory: ModelDirectory, provider: Provider, kernels: Kernels, need: Need
) -> LoadedModel:
    from inference.onnx.loading import load_runner

    before = resident()
    try:
        runner = load_runner(
            directory.graph_path,
            directory.config,
            provider,
            threads=settings.threads,
            slots=spec.slots,
            context=spec.context,
            operators=kernels.operators,
        )
    except MemoryError:
        raise no_room(spec) from None
    try:
        token_bytes = directory.token_bytes(runner.vocab_size, shown=TAGS)
    except ModelFileError:
        runner.close()
        raise
    why = f"{provider.name.removesuffix('ExecutionProvider')} ({provider.reason}){kernels.clause(directory)}"
    # On a device there is nothing to measure here; the file is what it holds.
    weights = need.weights if provider.is_cuda else max(resident() - before, 0)
    options = EngineOptions(
        speculation=settings.speculation,
        deterministic=settings.deterministic,
        interval=settings.stream_interval_ms / 1000,
        costs=costs_with(own_attention=directory.config.own_attention),
        uniform=directory.config.uniform,
        kernels=kernels.library,
    )
    return LoadedModel(directory, runner, token_bytes, why, need.total(weights), options, need.shortage(spec))


def serve(model: LoadedModel, queue_limit: int, name: str | None = None) -> ServedModel:
    """Starts an engine on the running event loop. name: None for the model's own."""
    config, directory = model.directory.config, model.directory
    engine = AsyncEngine(
        model.runner, model.token_bytes, config.eos_token_ids, queue_limit=queue_limit, options=model.options
    )
    engine.start()
    tokenizer = directory.tokenizer
    vocabulary = Vocabulary.of(model.token_bytes, tokenizer.special_tokens, config.eos_token_ids)
    return ServedModel(
        name or config.name or directory.path.name,
        config.created,
        model.runner.max_length,
        tokenizer,
        directory.template,
        engine,
        Grammars(GrammarCompiler(vocabulary, tokenizer.split), engine.limit),
    )
