"""Which model of a repository is meant, by the names of its files."""

from collections.abc import Sequence

import pytest

from inference.model import precisions_for
from inference.types import Precision
from service.models.hub.choice import Choice, choose
from service.models.hub.errors import HubError

CPU, CUDA = precisions_for("auto", is_cuda=False), precisions_for("auto", is_cuda=True)
GGUFS = [f"m-{label}.gguf" for label in ("Q2_K", "Q4_0", "Q4_K_M", "Q8_0", "f16", "BF16")]
OPTIMUM = [
    *("README.md", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("onnx/model.onnx", "onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/model_q4.onnx"),
    *("onnx/model_q4f16.onnx", "onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data", "model.safetensors"),
]
GENAI = ["genai_config.json", "tokenizer.json", "chat_template.jinja", "model.onnx", "model.onnx.data", "extra.txt"]


def folder(name: str) -> list[str]:
    return [f"{name}/{file}" for file in GENAI]


def reason(paths: Sequence[str], wanted: str | None = None, precisions: Sequence[Precision] = CPU) -> str:
    with pytest.raises(HubError) as caught:
        choose(paths, wanted, precisions)
    return str(caught.value)


def test_a_lone_gguf_file_is_taken_whatever_it_is_called() -> None:
    paths = ["README.md", "some model.gguf", "mmproj-model-f16.gguf", "imatrix.gguf"]
    assert choose(paths, None, CPU) == Choice("some model.gguf", ("some model.gguf",))


@pytest.mark.parametrize(
    ("precisions", "taken"),
    [
        (CPU, "m-Q4_K_M.gguf"),
        (CUDA, "m-f16.gguf"),
        (["int4"], "m-Q4_K_M.gguf"),
        (["int8"], "m-Q8_0.gguf"),
        (["float16"], "m-f16.gguf"),
        (["float32"], "m-f16.gguf"),
    ],
)
def test_of_several_gguf_files_the_precision_chooses(precisions: Sequence[Precision], taken: str) -> None:
    assert choose(GGUFS, None, precisions).files == (taken,)


def test_gguf_files_between_which_nothing_decides_are_listed() -> None:
    assert reason(["a-Q4_0.gguf", "b-Q4_0.gguf"]) == (
        "it holds several models: append one of them after a colon: a-Q4_0.gguf, b-Q4_0.gguf"
    )
    assert "x.gguf, y.gguf" in reason(["y.gguf", "x.gguf"])


def test_a_gguf_file_is_taken_by_its_name() -> None:
    assert choose([*GGUFS, *OPTIMUM], "m-Q2_K.gguf", CPU).files == ("m-Q2_K.gguf",)
    assert choose(["q/m.gguf"], "q/m.gguf", CPU).opens == "q/m.gguf"


def test_a_model_in_several_gguf_files_is_refused() -> None:
    parts = [f"m-Q4_K_M-0000{part}-of-00002.gguf" for part in (1, 2)]
    assert reason(parts).startswith("m-Q4_K_M-00001-of-00002.gguf is one part of a model in several files")
    assert "is one part" in reason(parts, parts[1])
    assert choose([*parts, "m-Q2_K.gguf"], None, CPU).files == ("m-Q2_K.gguf",)


@pytest.mark.parametrize(
    ("precisions", "weights"),
    [
        (CPU, ("onnx/model_q4.onnx",)),
        (CUDA, ("onnx/model_fp16.onnx_data", "onnx/model_fp16.onnx")),
        (["float32"], ("onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/model.onnx")),
    ],
)
def test_of_an_optimum_repository_one_graph_with_its_weights_is_fetched_last(
    precisions: Sequence[Precision], weights: tuple[str, ...]
) -> None:
    choice = choose(OPTIMUM, None, precisions)
    described = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
    assert (choice.opens, choice.files) == ("", described + weights)


def test_a_precision_that_an_optimum_repository_does_not_have_is_refused_with_those_it_has() -> None:
    sentence = reason(OPTIMUM, precisions=["int8"])
    assert sentence.startswith("it has no int8 graph; it has float32 (onnx/model.onnx), float16 (onnx/model_fp16.onnx)")


def test_a_genai_directory_is_fetched_with_all_of_its_graphs() -> None:
    files = ("genai_config.json", "tokenizer.json", "chat_template.jinja", "model.onnx.data", "model.onnx")
    assert choose(GENAI, None, CPU) == Choice("", files)
    assert choose(folder("sub"), None, CPU) == Choice("sub", tuple(f"sub/{file}" for file in files))


FOLDERS = ["cpu_and_mobile/cpu-int4-rtn-32", "cuda/cuda-fp16", "cuda/cuda-int4-rtn-32", "directml/directml-int4"]


@pytest.mark.parametrize(
    ("precisions", "is_cuda", "taken"),
    [
        (CPU, False, "cpu_and_mobile/cpu-int4-rtn-32"),
        (CUDA, True, "cuda/cuda-fp16"),
        (["int4"], True, "cuda/cuda-int4-rtn-32"),
    ],
)
def test_of_several_genai_folders_device_and_precision_choose(
    precisions: Sequence[Precision], is_cuda: bool, taken: str
) -> None:
    paths = [file for name in FOLDERS for file in folder(name)]
    assert choose(paths, None, precisions, is_cuda=is_cuda).opens == taken


def test_genai_folders_between_which_nothing_decides_are_listed_and_taken_by_name() -> None:
    paths = folder("cpu/int4-block-32") + folder("cpu/int4-block-128") + folder("cuda/int4")
    assert reason(paths).endswith("append one of them after a colon: cpu/int4-block-128, cpu/int4-block-32")
    assert choose(paths, "cuda/int4", CPU).opens == "cuda/int4"


def test_a_model_that_is_not_there_is_refused_with_those_that_are() -> None:
    sentence = reason([*GGUFS, *folder("sub")], "m.gguf")
    assert sentence.startswith("it has no model 'm.gguf': it has m-BF16.gguf, m-Q2_K.gguf")
    assert sentence.endswith("m-f16.gguf, sub")


def test_a_repository_without_a_model_that_can_be_served_is_refused() -> None:
    assert reason(["config.json", "model.safetensors"]).startswith("it holds neither a GGUF file nor an ONNX directory")


def test_an_onnx_model_without_a_tokenizer_is_refused_before_it_is_fetched() -> None:
    assert "no tokenizer.json" in reason([path for path in OPTIMUM if path != "tokenizer.json"])
    assert "no tokenizer.json in sub" in reason(["sub/genai_config.json", "sub/model.onnx"])
