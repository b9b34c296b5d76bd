"""Which model of a repository is meant, and which of its files make it up. Pure policy over the names of the files."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from inference import genai_config, optimum_config
from inference.model import DESCRIPTION_FILES, TOKENIZER_FILE
from inference.types import Precision
from service.models.hub.errors import HubError

_NAMES_SHOWN = 20
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_NOT_A_MODEL = ("mmproj", "imatrix")  # what lies beside the models of a repository, as GGUF files too
# How a GGUF file says its type, those of about one size together, the preferred one first.
_LABEL = re.compile(r"(?:^|[-._])((?:I?Q\d\w*)|BF16|F16|F32)\.gguf$", re.IGNORECASE)
_FOUR, _SIX, _EIGHT = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "IQ4_NL"), ("Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1"), ("Q8_0",)
_HALF, _FULL = ("F16", "BF16"), ("F32",)
_LABELS: dict[Precision, tuple[str, ...]] = {
    "int4": (*_FOUR, *_SIX, *_EIGHT, *_HALF, *_FULL),
    "int8": (*_EIGHT, *_HALF, *_FULL, *_SIX, *_FOUR),
    "float16": (*_HALF, *_FULL, *_EIGHT, *_SIX, *_FOUR),
    "float32": (*_FULL, *_HALF, *_EIGHT, *_SIX, *_FOUR),
}
_CPU, _CUDA = ("cpu",), ("cuda", "gpu")
_OTHER_DEVICES = ("directml", "dml", "webgpu", "npu", "qnn", "openvino", "vitis", "tensorrt", "trt")


@dataclass(frozen=True)
class Choice:
    """opens: the path of the GGUF file or model directory, empty for the repository itself. files: the paths that are
    needed, the large ones last."""

    opens: str
    files: tuple[str, ...]


def choose(
    paths: Collection[str], wanted: str | None, precisions: Sequence[Precision], *, is_cuda: bool = False
) -> Choice:
    """wanted: a path that the user named, or None. precisions: those that will do, the first choice first.

    Raises HubError, which names what there is to choose from.
    """
    ggufs = [path for path in sorted(paths) if _is_model_file(path)]
    folders = sorted(_model_folders(paths))
    if wanted is not None:
        return _named(paths, wanted, ggufs, folders, precisions)
    if folders:
        return _directory(paths, "" if "" in folders else _best_folder(folders, precisions, is_cuda), precisions)
    if whole := [path for path in ggufs if not _PART.search(path)]:
        return _file(_best_file(whole, precisions[0]))
    if ggufs:
        return _file(ggufs[0])
    raise HubError(
        "it holds neither a GGUF file nor an ONNX directory: repositories that do often have GGUF or ONNX in their name"
    )


def _named(
    paths: Collection[str], wanted: str, ggufs: Sequence[str], folders: Sequence[str], precisions: Sequence[Precision]
) -> Choice:
    if wanted in ggufs:
        return _file(wanted)
    if wanted in folders:
        return _directory(paths, wanted, precisions)
    raise HubError(f"it has no model {wanted!r}: it has {_some([*ggufs, *(name or 'itself' for name in folders)])}")


def _file(path: str) -> Choice:
    if _PART.search(path):
        raise HubError(f"{path} is one part of a model in several files, which is not supported")
    return Choice(path, (path,))


def _directory(paths: Collection[str], folder: str, precisions: Sequence[Precision]) -> Choice:
    inside = _inside(paths, folder)
    if TOKENIZER_FILE not in inside:
        raise HubError(f"it has no {TOKENIZER_FILE} {f'in {folder} ' * bool(folder)}with its ONNX model")
    described = [name for name in DESCRIPTION_FILES if name in inside]
    if genai_config.FILE_NAME in inside:
        # Only that file says which graph it is, but beside it lies no other.
        weights = [name for name in sorted(inside) if "/" not in name and (".onnx" in name or name.endswith(".data"))]
    else:
        chosen, _ = optimum_config.choose_graph(inside, precisions) or (None, None)
        if chosen is None:
            raise HubError(f"it has no {' or '.join(precisions)} graph; it has {optimum_config.graphs_in(inside)}")
        weights = [name for name in sorted(inside) if name.startswith(chosen)]
    weights.sort(key=lambda name: name.endswith(".onnx"))
    prefix = f"{folder}/" if folder else ""
    return Choice(folder, tuple(prefix + name for name in (*described, *weights)))


def _model_folders(paths: Collection[str]) -> set[str]:
    found = {_folder(path) for path in paths if PurePosixPath(path).name == genai_config.FILE_NAME}
    described = {_folder(path) for path in paths if PurePosixPath(path).name == optimum_config.FILE_NAME}
    return found | {folder for folder in described if optimum_config.graphs_in(_inside(paths, folder))}


def _best_folder(folders: Sequence[str], precisions: Sequence[Precision], is_cuda: bool) -> str:
    """By the device and the precision in their names; a name without either may be any."""
    foreign = (*_OTHER_DEVICES, *(_CPU if is_cuda else _CUDA))
    own = [folder for folder in folders if not any(mark in folder.lower() for mark in foreign)]
    for precision in precisions:
        fitting = [folder for folder in own if precision in genai_config.precisions_named(folder)]
        if fitting:
            return _only(fitting)
    silent = [folder for folder in own if not genai_config.precisions_named(folder)]
    return _only(silent or folders)


def _best_file(files: Sequence[str], precision: Precision) -> str:
    if len(files) == 1:
        return files[0]
    labels = {path: match[1].upper() for path in files if (match := _LABEL.search(path))}
    for label in _LABELS[precision]:
        if fitting := [path for path in files if labels.get(path) == label]:
            return _only(fitting)
    return _only(files)


def _only(candidates: Sequence[str]) -> str:
    if len(candidates) == 1:
        return candidates[0]
    raise HubError(f"it holds several models: append one of them after a colon: {_some(candidates)}")


def _is_model_file(path: str) -> bool:
    name = PurePosixPath(path).name.lower()
    return name.endswith(".gguf") and not any(word in name for word in _NOT_A_MODEL)


def _inside(paths: Collection[str], folder: str) -> set[str]:
    prefix = f"{folder}/" if folder else ""
    return {path.removeprefix(prefix) for path in paths if path.startswith(prefix)}


def _folder(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "none") + more
