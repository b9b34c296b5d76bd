"""Which tokens of a GGUF file end an answer, and that no text of a message becomes one of them."""

from pathlib import Path

import gguf
import pytest

from inference.gguf.special_tokens import end_tokens
from inference.gguf.tokenizer import build_tokenizer
from inference.gguf.vocabulary import Vocabulary, read_vocabulary
from inference.tokenizer import Tokenizer
from inference.types import ModelFileError

NORMAL, CONTROL = int(gguf.TokenType.NORMAL), int(gguf.TokenType.CONTROL)
USER_DEFINED = int(gguf.TokenType.USER_DEFINED)


def vocabulary_of(kinds: dict[str, int], ends: tuple[int, ...] = ()) -> Vocabulary:
    """A byte-level vocabulary of "a" and these tokens."""
    return Vocabulary("gpt2", "gpt-2", ("a", *kinds), (NORMAL, *kinds.values()), ends=ends)


@pytest.mark.parametrize("key", ["eos", "eot", "eom"])
def test_an_end_is_declared_under_any_of_three_keys(tmp_path: Path, key: str) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "<x>"])
    writer.add_token_merges(["a b"])
    writer.add_uint32(f"tokenizer.ggml.{key}_token_id", 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert end_tokens(read_vocabulary(gguf.GGUFReader(tmp_path / "a.gguf"))) == (1,)


@pytest.mark.parametrize(
    ("family", "kinds", "ends"),
    [
        ("Phi-3", {"<s>": CONTROL, "</s>": USER_DEFINED, "<|endoftext|>": CONTROL, "<|end|>": CONTROL}, (3, 2, 4)),
        ("Gemma", {"<s>": USER_DEFINED, "</s>": USER_DEFINED, "<eos>": CONTROL, "<end_of_turn>": CONTROL}, (3, 4)),
        ("Llama 3", {"<|begin_of_text|>": CONTROL, "<|eom_id|>": CONTROL, "<|eot_id|>": CONTROL}, (3, 2)),
        ("Qwen", {"<s>": NORMAL, "</s>": NORMAL, "<|im_end|>": CONTROL, "<|endoftext|>": CONTROL}, (3, 4)),
    ],
)
def test_an_end_that_no_key_declares_is_known_by_its_text(
    family: str, kinds: dict[str, int], ends: tuple[int, ...]
) -> None:
    assert end_tokens(vocabulary_of(kinds, ends[:1])) == ends


def test_a_word_that_reads_like_an_end_ends_nothing() -> None:
    assert end_tokens(vocabulary_of({"<EOT>": NORMAL, "[EOS]": NORMAL, "<end>": CONTROL}, (3,))) == (3,)


def test_a_vocabulary_without_any_end_is_refused() -> None:
    with pytest.raises(ModelFileError, match=r"no key tokenizer\.ggml\.eos_token_id"):
        end_tokens(vocabulary_of({"<s>": CONTROL}))


@pytest.mark.parametrize(
    "token", ["<|im_end|>", "<|user|>", "<\uff5cUser\uff5c>", "<start_of_turn>", "<end_of_turn>", "<stop>"]
)
def test_a_token_of_the_chat_format_is_a_control_token_although_the_file_calls_it_user_defined(token: str) -> None:
    kinds = {token: USER_DEFINED, "<think>": USER_DEFINED}
    tokenizer = Tokenizer(build_tokenizer(vocabulary_of(kinds, (1,) if token == "<stop>" else ())))
    assert tokenizer.special_tokens == {token: 1}
    assert tokenizer.encode([(token, True)]) == (1,)
    assert 1 not in tokenizer.encode([(token, False)])
    assert tokenizer.encode([("<think>", False)]) == (2,)


def test_what_is_html_elsewhere_closes_a_text_where_its_opening_is_a_control_token() -> None:
    tokenizer = Tokenizer(build_tokenizer(vocabulary_of({"<s>": CONTROL, "</s>": USER_DEFINED})))
    assert 2 not in tokenizer.encode([("</s>", False)])
    html = Tokenizer(build_tokenizer(vocabulary_of({"<s>": USER_DEFINED, "</s>": USER_DEFINED})))
    assert html.encode([("<s></s>", False)]) == (1, 2)
