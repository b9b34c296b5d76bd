"""A model directory: its config, tokenizer and chat template, read and checked.

Knows the two layouts that are published (onnxruntime-genai's and Optimum's). Does not know ONNX Runtime, the weights,
or how the directory was made.
"""

from collections.abc import Container, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from inference import genai_config, optimum_config
from inference.chat import ChatTemplate, TemplateError
from inference.genai_config import GraphNames, ModelConfig, write_genai_config
from inference.json_object import JsonObject
from inference.quoted import printable, quoted
from inference.tokenizer import Tokenizer
from inference.types import ModelFileError, Precision

__all__ = ["GraphNames", "ModelConfig", "ModelDirectory", "precisions_for", "write_genai_config"]

TOKENIZER_FILE = "tokenizer.json"
TEMPLATE_FILE = "chat_template.jinja"
_TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
# All that is read beside the graph and its weights; which of them there are depends on the layout.
DESCRIPTION_FILES = (
    genai_config.FILE_NAME,
    optimum_config.FILE_NAME,
    optimum_config.GENERATION_FILE,
    TOKENIZER_FILE,
    TEMPLATE_FILE,
    _TOKENIZER_CONFIG_FILE,
)


@dataclass(frozen=True)
class ModelDirectory:
    """An opened model directory; the graph itself is not read."""

    path: Path
    config: ModelConfig
    tokenizer: Tokenizer
    template: ChatTemplate

    @classmethod
    def open(
        cls, path: Path, precisions: Sequence[Precision] | None = None, name: str | None = None
    ) -> "ModelDirectory":
        """Read and check everything but the graph (0.15 s for 49152 tokens).

        precisions: the wanted ones, the first choice first; None takes what there is, as for the CPU. name: of a model
        whose files do not say it; None for the directory's own.
        Raises ModelFileError, which names the file and what is wrong with it.
        """
        if not path.is_dir():
            raise ModelFileError(f"{path} is not a directory.")
        config = _config(path, precisions or precisions_for("auto", is_cuda=False), name)
        graph = path / config.graph.file_name
        if not graph.is_file():
            raise ModelFileError(f"{graph} is missing.")
        config = replace(config, created=config.created or int(graph.stat().st_mtime))
        tokenizer = Tokenizer.open(path / TOKENIZER_FILE, config.vocab_size)
        _check_ids(path, tokenizer, config.vocab_size, "vocab_size is")
        declared = _declared(path)
        config = _with_turn_end(config, tokenizer, declared)
        return cls(path, config, tokenizer, _template(path, config, tokenizer, declared))

    def token_bytes(self, ids: int, shown: Container[str] = ()) -> list[bytes]:
        """What each of the ids that the graph has logits for adds to a text. shown: as the tokenizer takes it.

        Raises ModelFileError for a tokenizer with ids beyond, before it makes anything of their size.
        """
        _check_ids(self.path, self.tokenizer, ids, f"the logits of {self.config.graph.file_name} are")
        table = self.tokenizer.token_bytes(shown)
        return table + [b""] * (ids - len(table))

    @property
    def graph_path(self) -> Path:
        """The ONNX file."""
        return self.path / self.config.graph.file_name


def precisions_for(setting: Precision | Literal["auto"], *, is_cuda: bool) -> tuple[Precision, ...]:
    """The precisions that a setting allows, the first choice first."""
    if setting != "auto":
        return (setting,)
    # The CPU computes 4 bits fastest and float16 slowest; CUDA's attention takes float16 alone.
    return ("float16", "int4", "float32", "int8") if is_cuda else ("int4", "float32", "int8", "float16")


def _config(path: Path, precisions: Sequence[Precision], name: str | None) -> ModelConfig:
    if (path / genai_config.FILE_NAME).exists():
        config = genai_config.read_genai_config(path, name)
        _check_precision(path, config, precisions, name)
        return config
    if (path / optimum_config.FILE_NAME).exists():
        return optimum_config.read_optimum_config(path, precisions, name)
    raise ModelFileError(
        f"{path} is no model directory: it has neither {genai_config.FILE_NAME} (onnxruntime-genai's layout)"
        f" nor {optimum_config.FILE_NAME} with onnx/model*.onnx (Optimum's)."
    )


def _check_precision(path: Path, config: ModelConfig, precisions: Sequence[Precision], name: str | None) -> None:
    """Of this layout a directory has one graph, and only answerd's own say of what precision it is."""
    wanted = " or ".join(precisions)
    held = {config.precision} if config.precision else _precisions_called(path.name, name or "", path.parent.name)
    if not held and len(precisions) < len(get_args(Precision)):
        raise ModelFileError(
            f"{path} does not say which precision its graph has, so {wanted} cannot be promised: with the"
            " precision auto it is served as it is."
        )
    if held and held.isdisjoint(precisions):
        raise ModelFileError(f"The graph in {path} is {' or '.join(sorted(held))}, not {wanted}.")


def _precisions_called(*names: str) -> Set[str]:
    """What the first of the names that says anything says."""
    return next((held for name in names if (held := genai_config.precisions_named(name))), frozenset())


def _check_ids(path: Path, tokenizer: Tokenizer, ids: int, counted: str) -> None:
    if tokenizer.vocab_size > ids:
        raise ModelFileError(
            f"{path / TOKENIZER_FILE} has the token id {tokenizer.vocab_size - 1}, but {counted} {ids}: put the"
            " tokenizer.json of this very model beside its graph."
        )


def _with_turn_end(config: ModelConfig, tokenizer: Tokenizer, declared: Mapping[str, Any]) -> ModelConfig:
    """The token that closes a turn of the template ends an answer, too, where other files forget to say so."""
    end = tokenizer.special_tokens.get(_content(declared.get("eos_token")))
    return config if end is None else replace(config, eos_token_id=end, eos_token_ids=config.eos_token_ids | {end})


def _template(path: Path, config: ModelConfig, tokenizer: Tokenizer, declared: Mapping[str, Any]) -> ChatTemplate:
    file, source = _template_source(path, declared)
    if unknown := [token for token in tokenizer.left_out if token and token in source]:
        raise ModelFileError(
            f"{file} writes {quoted(unknown[0])}, but its id is beyond the model's {config.vocab_size}: it was made for"
            " another model."
        )
    try:
        return ChatTemplate(
            source,
            bos_token=_text(declared, "bos_token", tokenizer, config.bos_token_id),
            eos_token=_text(declared, "eos_token", tokenizer, config.eos_token_id),
            special_tokens=tokenizer.special_tokens,
        )
    except TemplateError as error:
        raise ModelFileError(f"{file}: {printable(str(error), 300)}") from error


def _text(declared: Mapping[str, Any], key: str, tokenizer: Tokenizer, token_id: int | None) -> str:
    """A token's text as tokenizer_config.json has it, null for none, else by its id."""
    if key in declared or token_id is None:
        return _content(declared.get(key))
    return tokenizer.token(token_id) or ""


def _content(token: Any) -> str:
    """A declared token is a string or an object that holds one."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _declared(path: Path) -> Mapping[str, Any]:
    """What tokenizer_config.json says, if there is one."""
    file = path / _TOKENIZER_CONFIG_FILE
    return JsonObject.read(file).values if file.exists() else {}


def _template_source(path: Path, declared: Mapping[str, Any]) -> tuple[Path, str]:
    """The chat template and the file it stands in; older directories keep it in `tokenizer_config.json`."""
    own, shared = path / TEMPLATE_FILE, path / _TOKENIZER_CONFIG_FILE
    if own.is_file():
        try:
            return own, own.read_text(encoding="utf-8")
        except OSError as error:
            raise ModelFileError(f"{own} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise ModelFileError(f"{own} is not text that can be read: {error}.") from error
    if source := _declared_template(declared):
        return shared, source
    raise ModelFileError(f"{own} is missing, and no {_TOKENIZER_CONFIG_FILE} holds a chat template.")


def _declared_template(declared: Mapping[str, Any]) -> str | None:
    template = declared.get("chat_template")
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None
