"""`genai_config.json`, the file that describes a model directory in onnxruntime-genai's layout: reading and writing.

Knows the schema. Does not know the other files of the directory, ONNX Runtime, or where the model came from.
Reference: https://onnxruntime.ai/docs/genai/reference/config.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from inference.json_object import JsonObject
from inference.types import Precision

FILE_NAME = "genai_config.json"
_SECTION = "answerd"  # what the layout has no place for
# What onnxruntime-genai's folders are named after; genai_config.json itself has no place for it.
_MARKS: dict[Precision, tuple[str, ...]] = {
    "int4": ("int4", "q4"),
    "int8": ("int8", "q8"),
    "float16": ("fp16", "float16"),
    "float32": ("fp32", "float32"),
}
_LONGEST_FILE_NAME = 255  # in characters; file systems take no more


@dataclass(frozen=True)
class GraphNames:
    """What the graph calls its tensors, by the layout's name for them; `%d` stands for the layer."""

    file_name: str
    inputs: Mapping[str, str] = field(hash=False)
    outputs: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True)
class ModelConfig:
    """One model's sizes and end tokens, the names in its graph, and where it came from.

    context_length: positions the model was trained for. eos_token_ids: each ends an answer; eos_token_id is the one
    of them with which the chat template closes a turn.
    precision, source (file name), sha256 (of the source), converter (version), kernels (whether the graph needs the
    operators of inference/kernels), own_attention (whether these compute attention in all layers), uniform (whether all
    calls give a row the same bits) and created (Unix seconds; an opened directory has its graph's then) are empty, 0 or
    false for a directory that answerd did not convert.
    """

    name: str
    type: str
    vocab_size: int
    context_length: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    hidden_size: int
    eos_token_id: int
    eos_token_ids: frozenset[int]
    graph: GraphNames
    bos_token_id: int | None = None
    pad_token_id: int | None = None
    precision: str = ""
    source: str = ""
    sha256: str = ""
    converter: int = 0
    kernels: bool = False
    own_attention: bool = False
    uniform: bool = False
    created: int = 0


def precisions_named(folder: str) -> frozenset[Precision]:
    """What the name of a folder says of the graph in it; mostly one or none."""
    return frozenset(precision for precision, marks in _MARKS.items() if any(mark in folder.lower() for mark in marks))


def write_genai_config(directory: Path, config: ModelConfig) -> None:
    """Write `genai_config.json` into a directory; `read_genai_config` gives back an equal config."""
    decoder = {
        "filename": config.graph.file_name,
        "head_size": config.head_size,
        "hidden_size": config.hidden_size,
        "num_attention_heads": config.num_heads,
        "num_hidden_layers": config.num_layers,
        "num_key_value_heads": config.num_kv_heads,
        "inputs": dict(config.graph.inputs),
        "outputs": dict(config.graph.outputs),
    }
    tokens = {"bos_token_id": config.bos_token_id, "pad_token_id": config.pad_token_id}
    document = {
        "model": {
            "type": config.type,
            "vocab_size": config.vocab_size,
            "context_length": config.context_length,
            "eos_token_id": [config.eos_token_id, *sorted(config.eos_token_ids - {config.eos_token_id})],
            **{key: value for key, value in tokens.items() if value is not None},
            "decoder": decoder,
        },
        "search": {"max_length": config.context_length},
        _SECTION: {
            "name": config.name,
            "precision": config.precision,
            "source": config.source,
            "sha256": config.sha256,
            "converter": config.converter,
            "kernels": config.kernels,
            "own_attention": config.own_attention,
            "uniform": config.uniform,
            "created": config.created,
        },
    }
    (directory / FILE_NAME).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_genai_config(directory: Path, name: str | None = None) -> ModelConfig:
    """Read `genai_config.json`; a model without a name gets the given one, or is called like its directory.

    Raises ModelFileError naming the file and the key if something is missing or of the wrong type.
    """
    root = JsonObject.read(directory / FILE_NAME)
    model = root.object("model")
    decoder = model.object("decoder")
    own = root.object(_SECTION) if _SECTION in root.values else JsonObject(root.path, _SECTION, {})
    vocab_size = model.count("vocab_size")
    eos_token_ids = model.token_ids("eos_token_id", vocab_size)
    return ModelConfig(
        name=own.get("name", str, name or directory.name),
        type=model.need("type", str),
        vocab_size=vocab_size,
        context_length=model.count("context_length"),
        num_layers=decoder.count("num_hidden_layers"),
        num_heads=decoder.count("num_attention_heads"),
        num_kv_heads=decoder.count("num_key_value_heads"),
        head_size=decoder.count("head_size"),
        hidden_size=decoder.count("hidden_size"),
        eos_token_id=eos_token_ids[0],
        eos_token_ids=frozenset(eos_token_ids),
        graph=_graph(decoder),
        bos_token_id=model.token_id("bos_token_id", vocab_size),
        pad_token_id=model.token_id("pad_token_id", vocab_size),
        precision=own.get("precision", str, ""),
        source=own.get("source", str, ""),
        sha256=own.get("sha256", str, ""),
        converter=own.get("converter", int, 0),
        kernels=own.get("kernels", bool, False),
        own_attention=own.get("own_attention", bool, False),
        uniform=own.get("uniform", bool, False),
        created=own.get("created", int, 0),
    )


def _graph(decoder: JsonObject) -> GraphNames:
    name = decoder.need("filename", str)
    parts = PurePosixPath(name).parts
    within = parts and not PurePosixPath(name).is_absolute() and ".." not in parts
    if not within or not name.isprintable() or len(name) > _LONGEST_FILE_NAME:
        raise decoder.wrong("filename", "does not name a file inside the directory")
    inputs, outputs = decoder.object("inputs"), decoder.object("outputs")
    for section, keys in ((inputs, ("past_key_names", "past_value_names")), (outputs, _PRESENT)):
        for key in keys:
            if section.need(key, str).count("%d") != 1:
                raise section.wrong(key, "does not have one %d in the place of the layer")
    inputs.need("input_ids", str)
    outputs.need("logits", str)
    return GraphNames(name, inputs.texts(), outputs.texts())


_PRESENT = ("present_key_names", "present_value_names")
