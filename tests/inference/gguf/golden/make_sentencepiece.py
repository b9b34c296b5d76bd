"""Make sentencepiece.json: a small SentencePiece vocabulary, and what llama.cpp makes of texts with it.

usage, from the repository's root: python -m tests.inference.gguf.golden.make_sentencepiece
It needs llama-cpp-python beside gguf and tokenizers. The vocabulary is made of the texts themselves, in the order of
published ones: control tokens, bytes, merged pieces with falling scores, single characters. Rare characters have none.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import llama_cpp  # type: ignore[import-not-found]  # installed by hand, for this script alone
from gguf import TokenType
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from tests.inference.gguf.golden.make_tokens import TEXTS
from tests.inference.gguf.sentencepiece_files import FILES, Piece, SentencePieceFile, write_file

HERE = Path(__file__).parent
SPACE = "\u2581"
OWN_TEXTS = [
    "<s>[INST] Hi [/INST] there</s>",
    "<s> x<s>y</s>\n</s> z",
    "<|user|>\nHello<|end|>\n<|assistant|>\n",
    "<|system|>  \t\r\n be brief<|end|>\n<|user|>\n\n  two lines\n and spaces \n<|end|>\n",
    "<|endoftext|>\n x <unk> \n y<s> \nz",
    "<start_of_turn>user\nHi there<end_of_turn>\n<start_of_turn>model\n",
    "a\n\nb\n\n\nc\n\n\n\nd  e   f    g",
    "<b>bold</b> <i>not</i>",
    "<0x0A> and <0xE2><0x96><0x81> are text",
    f"{SPACE}a{SPACE}{SPACE}b {SPACE} c",
]


def main() -> None:
    """Write sentencepiece.json beside this file."""
    pieces, texts = trained(), TEXTS + OWN_TEXTS
    with tempfile.TemporaryDirectory() as folder:
        cases = {name: tokens_of(Path(folder) / f"{name}.gguf", pieces, file, texts) for name, file in FILES.items()}
    golden = {"engine": f"llama-cpp-python {llama_cpp.__version__}", "pieces": pieces, "texts": texts, "tokens": cases}
    (HERE / "sentencepiece.json").write_text(dump(golden) + "\n", encoding="utf-8")


def trained() -> list[Piece]:
    """The vocabulary that all files share."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    lines = "\n".join([*TEXTS, (HERE / "text.txt").read_text("utf-8")]).splitlines()
    tokenizer.train_from_iterator(
        [line for line in lines if "<|" not in line],
        BpeTrainer(vocab_size=500, limit_alphabet=90, show_progress=False),
    )
    learnt = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    spaces = [SPACE * count for count in (2, 4, 3)]
    merged = [*spaces, *(text for text in learnt if len(text) > 1)]
    texts = [*merged, *(text for text in learnt if len(text) == 1)]
    control = [
        ("<unk>", 0.0, int(TokenType.UNKNOWN)),
        *((text, 0.0, int(TokenType.CONTROL)) for text in ("<s>", "</s>")),
    ]
    bytes_ = [(f"<0x{byte:02X}>", 0.0, int(TokenType.BYTE)) for byte in range(256)]
    # One that is not to be used makes pieces all the same.
    kinds = [int(TokenType.UNUSED if index == len(spaces) else TokenType.NORMAL) for index in range(len(texts))]
    return [*control, *bytes_, *((text, -float(rank), kinds[rank]) for rank, text in enumerate(texts))]


def tokens_of(path: Path, pieces: list[Piece], file: SentencePieceFile, texts: list[str]) -> dict[str, list[list[int]]]:
    """llama.cpp's tokens of the texts, and the ids that it ends at."""
    llama = llama_cpp.Llama(str(write_file(path, pieces, file)), vocab_only=True, verbose=False)
    count = len(pieces) + len(file.added)
    tokens = {
        name: [llama.tokenize(text.encode(), add_bos=False, special=special) for text in texts]
        for name, special in (("plain", False), ("control", True))
    }
    vocabulary = llama_cpp.llama_model_get_vocab(llama.model)
    ends = [token for token in range(count) if llama_cpp.llama_vocab_is_eog(vocabulary, token)]
    return {**tokens, "ends": [ends]}


def dump(value: Any, depth: int = 3) -> str:
    """JSON with one line a list of tokens, so that a change reads as a diff."""
    if depth and isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {dump(item, depth - 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], list | tuple | str):
        return "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in value) + "\n]"
    return json.dumps(value)


if __name__ == "__main__":
    main()
