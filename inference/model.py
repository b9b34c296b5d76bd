"""A model directory in onnxruntime-genai's layout: its config, tokenizer and chat template, read and checked.

Knows which files the directory holds. Does not know ONNX Runtime, the weights, or how the directory was made.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.chat import ChatTemplate, TemplateError
from inference.genai_config import GraphNames, ModelConfig, read_genai_config, write_genai_config
from inference.tokenizer import Tokenizer
from inference.types import ModelFileError

__all__ = ["GraphNames", "ModelConfig", "ModelDirectory", "write_genai_config"]

TOKENIZER_FILE = "tokenizer.json"
TEMPLATE_FILE = "chat_template.jinja"
_TOKENIZER_CONFIG_FILE = "tokenizer_config.json"


@dataclass(frozen=True)
class ModelDirectory:
    """An opened model directory; the graph itself is not read."""

    path: Path
    config: ModelConfig
    tokenizer: Tokenizer
    template: ChatTemplate

    @classmethod
    def open(cls, path: Path) -> "ModelDirectory":
        """Read and check everything but the graph (0.15 s for 49152 tokens).

        Raises ModelFileError, which names the file and what is wrong with it.
        """
        if not path.is_dir():
            raise ModelFileError(f"{path} is not a directory.")
        config = read_genai_config(path)
        if not (path / config.graph.file_name).is_file():
            raise ModelFileError(f"{path / config.graph.file_name} is missing.")
        tokenizer = Tokenizer.open(path / TOKENIZER_FILE)
        if tokenizer.vocab_size > config.vocab_size:
            raise ModelFileError(
                f"{path / TOKENIZER_FILE} has {tokenizer.vocab_size} tokens, the model only {config.vocab_size}."
            )
        return cls(path, config, tokenizer, _template(path, config, tokenizer))

    @property
    def graph_path(self) -> Path:
        """The ONNX file."""
        return self.path / self.config.graph.file_name


def _template(path: Path, config: ModelConfig, tokenizer: Tokenizer) -> ChatTemplate:
    file, source = _template_source(path)
    try:
        return ChatTemplate(
            source,
            bos_token=_text(tokenizer, config.bos_token_id),
            eos_token=_text(tokenizer, config.eos_token_id),
            special_tokens=tokenizer.special_tokens,
        )
    except TemplateError as error:
        raise ModelFileError(f"{file}: {error}") from error


def _text(tokenizer: Tokenizer, token_id: int | None) -> str:
    return "" if token_id is None else tokenizer.token(token_id) or ""


def _template_source(path: Path) -> tuple[Path, str]:
    """The chat template and the file it stands in; older directories keep it in `tokenizer_config.json`."""
    own, shared = path / TEMPLATE_FILE, path / _TOKENIZER_CONFIG_FILE
    try:
        if own.is_file():
            return own, own.read_text(encoding="utf-8")
        if shared.is_file() and (source := _declared_template(json.loads(shared.read_bytes()))):
            return shared, source
    except OSError as error:
        raise ModelFileError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ModelFileError(f"{own if own.is_file() else shared} is not text that can be read: {error}.") from error
    raise ModelFileError(f"{own} is missing, and no {_TOKENIZER_CONFIG_FILE} holds a chat template.")


def _declared_template(document: Any) -> str | None:
    template = document.get("chat_template") if isinstance(document, dict) else None
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None
