"""The ids of a tokenizer are those that its model knows, or the directory is refused."""

import json
import tracemalloc
from pathlib import Path

import pytest
import tokenizers

from inference.model import ModelDirectory
from inference.types import ModelFileError
from tests.inference.onnx.directories import save_genai
from tests.inference.onnx.tiny_graph import Form


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Its tokenizer has 264 ids, its graph 300 logits."""
    save_genai(tmp_path, Form())
    return tmp_path


def test_a_tokenizer_with_larger_ids_than_the_config_says_is_refused(directory: Path) -> None:
    set_vocab_size(directory, 100)
    with pytest.raises(ModelFileError) as caught:
        ModelDirectory.open(directory)
    assert str(caught.value) == (
        f"{directory / 'tokenizer.json'} has the token id 263, but vocab_size is 100: put the tokenizer.json of this"
        " very model beside its graph."
    )


def test_a_tokenizer_with_larger_ids_than_the_graph_has_logits_for_is_refused_before_tables_are_made(
    directory: Path,
) -> None:
    set_vocab_size(directory, 70_000_000)
    add_to_vocabulary(directory, "zzz", 60_000_000)
    model = ModelDirectory.open(directory)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            model.token_bytes(300)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert str(caught.value) == (
        f"{directory / 'tokenizer.json'} has the token id 60000000, but the logits of model.onnx are 300: put the"
        " tokenizer.json of this very model beside its graph."
    )


def test_logits_without_a_token_stand_for_no_text(directory: Path) -> None:
    table = ModelDirectory.open(directory).token_bytes(300)
    assert len(table) == 300
    assert table[263:] == [b"<think>"] + [b""] * 36


def test_added_tokens_beyond_the_models_are_plain_text(directory: Path) -> None:
    """As Gemma 3 has one for images, whose text models have no row for it."""
    set_vocab_size(directory, 264)
    add_tokens(directory, "<image>", "<video>")
    tokenizer = ModelDirectory.open(directory).tokenizer
    assert tokenizer.vocab_size == 264
    assert tokenizer.left_out == ["<image>", "<video>"]
    assert tokenizer.special_tokens.keys() == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
    for is_control in (True, False):
        ids = tokenizer.encode([("<image>", is_control)])
        assert len(ids) > 1
        assert b"".join(tokenizer.token_bytes()[id] for id in ids) == b"<image>"
    assert tokenizer.encode([("<|im_start|><think>", True)]) == (1, 263)


def test_a_template_that_writes_a_token_beyond_the_models_is_refused(directory: Path) -> None:
    set_vocab_size(directory, 264)
    add_tokens(directory, "<image>")
    (directory / "chat_template.jinja").write_text("<image>{{ messages[0].content }}")
    with pytest.raises(
        ModelFileError, match=r"chat_template\.jinja writes '<image>', but its id is beyond the model's 264"
    ):
        ModelDirectory.open(directory)


def add_to_vocabulary(directory: Path, token: str, id: int) -> None:
    file = directory / "tokenizer.json"
    document = json.loads(file.read_text())
    document["model"]["vocab"][token] = id
    file.write_text(json.dumps(document))


def add_tokens(directory: Path, *tokens: str) -> None:
    """Special ones, with the next ids."""
    file = str(directory / "tokenizer.json")
    tokenizer = tokenizers.Tokenizer.from_file(file)
    tokenizer.add_special_tokens(list(tokens))
    tokenizer.save(file)


def set_vocab_size(directory: Path, size: int) -> None:
    file = directory / "genai_config.json"
    document = json.loads(file.read_text())
    document["model"]["vocab_size"] = size
    file.write_text(json.dumps(document))
