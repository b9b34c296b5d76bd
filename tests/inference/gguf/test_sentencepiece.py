"""SentencePiece vocabularies give llama.cpp's tokens, by themselves and under the templates that come with them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest

from inference.chat import ChatTemplate
from inference.gguf.special_tokens import end_tokens
from inference.gguf.tokenizer import build_tokenizer
from inference.gguf.vocabulary import read_vocabulary
from inference.tokenizer import Tokenizer
from tests.inference.gguf.sentencepiece_files import FILES, write_file

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "sentencepiece.json").read_text("utf-8"))
EVERY_FILE = pytest.mark.parametrize("name", FILES)


def reader_of(folder: Path, name: str) -> gguf.GGUFReader:
    return gguf.GGUFReader(write_file(folder / f"{name}.gguf", GOLDEN["pieces"], FILES[name]))


def tokenizer_of(folder: Path, name: str) -> Tokenizer:
    build_tokenizer(read_vocabulary(reader_of(folder, name))).save(str(folder / "tokenizer.json"))
    return Tokenizer.open(folder / "tokenizer.json")


@EVERY_FILE
@pytest.mark.parametrize("kind", ["plain", "control"])
def test_a_sentencepiece_vocabulary_gives_llama_cpps_tokens(tmp_path: Path, name: str, kind: str) -> None:
    tokenizer = tokenizer_of(tmp_path, name)
    found = {text: list(tokenizer.encode([(text, kind == "control")])) for text in GOLDEN["texts"]}
    assert found == dict(zip(GOLDEN["texts"], GOLDEN["tokens"][name][kind], strict=True))


@EVERY_FILE
def test_it_ends_where_llama_cpp_ends(tmp_path: Path, name: str) -> None:
    assert [sorted(end_tokens(read_vocabulary(reader_of(tmp_path, name))))] == GOLDEN["tokens"][name]["ends"]


@EVERY_FILE
def test_the_bytes_of_its_tokens_are_the_text(tmp_path: Path, name: str) -> None:
    tokenizer = tokenizer_of(tmp_path, name)
    table = tokenizer.token_bytes()
    space = "" if name == "gemma" else " "
    for text in filter(None, GOLDEN["texts"]):
        written = (space + text).replace("\u2581", " ")
        assert b"".join(table[token] for token in tokenizer.encode([(text, False)])) == written.encode()


PHI3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{'<|' + message['role'] + '|>' + '\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"
)
GEMMA = (
    "{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\\n' + message['content'] | trim"
    " + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)
LLAMA = "{% for message in messages %}<s>[INST] {{ message['content'] }} [/INST]{% endfor %}"


@pytest.mark.parametrize(
    ("name", "template", "content", "rendered"),
    [
        ("phi3", PHI3, "Hello", "<|user|>\nHello<|end|>\n<|assistant|>\n"),
        ("gemma", GEMMA, "Hi there", "<start_of_turn>user\nHi there<end_of_turn>\n<start_of_turn>model\n"),
    ],
)
def test_a_chat_template_gives_llama_cpps_tokens(
    tmp_path: Path, name: str, template: str, content: str, rendered: str
) -> None:
    tokenizer = tokenizer_of(tmp_path, name)
    chat = ChatTemplate(template, special_tokens=tokenizer.special_tokens)
    tokens = tokenizer.encode(chat.render([{"role": "user", "content": content}]))
    assert list(tokens) == GOLDEN["tokens"][name]["control"][GOLDEN["texts"].index(rendered)]


def test_the_line_break_of_phi_3s_template_is_no_token_whatever_the_message_holds(tmp_path: Path) -> None:
    """The text of a control token makes the message a segment of its own, which begins with the line break."""
    tokenizer = tokenizer_of(tmp_path, "phi3")
    chat = ChatTemplate(PHI3, special_tokens=tokenizer.special_tokens)
    content = "Hello<|end|>"
    special = tokenizer.special_tokens
    assert tokenizer.encode(chat.render([{"role": "user", "content": content}])) == (
        special["<|user|>"],
        *tokenizer.encode([(content, False)]),
        special["<|end|>"],
        special["<|assistant|>"],
    )


@pytest.mark.parametrize(("name", "template"), [("llama", LLAMA), ("gemma", GEMMA), ("phi3", PHI3)])
def test_no_message_becomes_a_control_token(tmp_path: Path, name: str, template: str) -> None:
    tokenizer = tokenizer_of(tmp_path, name)
    chat = ChatTemplate(template, special_tokens=tokenizer.special_tokens)

    def control(content: str) -> list[int]:
        tokens = tokenizer.encode(chat.render([{"role": "user", "content": content}]))
        return [token for token in tokens if token in tokenizer.special_tokens.values()]

    for text in (*GOLDEN["texts"], *tokenizer.special_tokens, "</s>"):
        assert control(text) == control("x")


@pytest.mark.parametrize(("model", "taken"), [("Phi-3-mini-4k-instruct", True), ("Phi3", True), ("Phi 4", False)])
def test_control_tokens_take_the_white_space_behind_them_in_phi_3_alone(
    tmp_path: Path, model: str, taken: bool
) -> None:
    file = replace(FILES["phi3"], name=model)
    vocabulary = read_vocabulary(gguf.GGUFReader(write_file(tmp_path / "a.gguf", GOLDEN["pieces"], file)))
    tokenizer = Tokenizer(build_tokenizer(vocabulary))
    same = tokenizer.encode([("<|user|>\n x", True)]) == tokenizer.encode([("<|user|>x", True)])
    assert same is taken
