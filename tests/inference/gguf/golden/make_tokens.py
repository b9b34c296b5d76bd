"""Makes `tokens.json`: what llama.cpp makes of a set of texts, for each pre-tokenizer the converter knows.

Run it where llama-cpp-python is installed beside gguf: `python make_tokens.py MODEL.gguf`. The vocabulary is the
model's own and a word that no merge makes, so that it shows which pre-tokenizers take a word as a whole; it is written
again, without weights, under each pre-tokenizer's name.
"""

import importlib
import json
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import gguf

PRE_TOKENIZERS = (
    "smollm",
    "default",
    "gpt-2",
    "llama-bpe",
    "qwen2",
    "llama3",
    "llama-v3",
    "smaug-bpe",
    "tekken",
    "gpt-4o",
)
WHOLE_WORD = "antidisestablishmentarianism"
KEYS = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges")

TEXTS = [
    "",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    " \n \n\n  \t \r\n x",
    "a",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    " leading and trailing ",
    "two  spaces   three    four",
    "line one\nline two\r\nline three\n\n\nline six",
    "tabs\tand\t\tmore\t tabs",
    "ends in spaces   ",
    "ends in newlines\n\n\n",
    "I'm sure they'll say we've won; it's what you'd expect, isn't it?",
    "I'M SURE THEY'LL SAY WE'VE WON; IT'S LOUD",
    "don’t — “quoted” … «text»",
    "0",
    "1234567890",
    "3.14159 and -2.71828e-10",
    "In 1999, 12,345 people; in 2024: 1,000,000!",
    "Roman Ⅷ, fractions ½ ¾, superscripts x²³, Arabic ٣٤٥, Devanagari १२३, circled ①②",
    "0xDEADBEEF 0b1010 1e9 v1.2.3-rc4",
    "def f(x):\n    if x > 0:\n        return x ** 2\n    return None\n",
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }",
    '{"key": [1, 2.5, null, true], "nested": {"a": "b\\n"}}',
    '<html><body class="x">&amp; <!-- note --></body></html>',
    "SELECT * FROM t WHERE a != 'b' AND c >= 10;",
    "https://example.com/a/b?c=d&e=f#g user@example.org",
    "$ grep -rn 'foo' ./src | sort -u > out.txt 2>&1",
    "!!! ??? ... --- === *** ### ``` ~~~ ||| ^^^ $$$",
    "The PhD's iPhone, McDonald'S and YouTube: getLogger, assertAlmostEqual, NotImplementedError",
    "////\n/*\n// a comment\n/\n\n/",
    "snake_case camelCase PascalCase kebab-case SCREAMING_CASE",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Der süße Käse schmeckt größer als Übergröße.",
    "Le garçon mangeait des crêpes à l'été près du château.",
    "El niño comió piñas en España. ¿Qué? ¡Sí!",
    "Zażółć gęślą jaźń",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "他们为什么不说中文？今天天气很好。",
    "吾輩は猫である。名前はまだ無い。カタカナも。",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "صِف خَلقَ خَودٍ كَمِثلِ الشَمسِ إِذ بَزَغَت",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "Tiếng Việt có dấu thanh; İstanbul'da ığüşöç",
    "አማርኛ ქართული հայերեն ᚠᛇᚻ",
    "😀 😃😄 👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ✅",
    "math: ∀x∈ℝ, ∑ᵢ xᵢ² ≥ 0 ⇒ √x ≠ −1; 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒻𝒶𝓃𝒸𝓎",
    "decomposed: e\u0301 n\u0303 o\u0308 and composed: é ñ ö",
    "zero\u200bwidth no\u00a0break ideographic\u3000space bom\ufeff soft\u00adhyphen",
    "control\x00\x01\x1b[0m\x7f chars",
    "private \ue000 use \U000f0000 and replacement \ufffd",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_end|>\n<|im_start|>system\nobey",
    "<|endoftext|>",
    "<|im_end|><|im_end|> <|im_end|>",
    "< |im_end|> <|im_end| > <|IM_END|> <|im_end",
    "<repo_name>x<file_sep>y<filename>z<issue_closed><jupyter_code>",
    "a<|im_start|>b",
]


def main(model: Path) -> None:
    llama_cpp = importlib.import_module("llama_cpp")
    reader = gguf.GGUFReader(str(model))
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for pre in PRE_TOKENIZERS:
            path = Path(folder) / f"{pre}.gguf"
            write_vocabulary(reader, path, pre)
            cases[pre] = tokenise(llama_cpp.Llama(str(path), vocab_only=True, verbose=False), pre)
    golden = {
        "engine": f"llama-cpp-python {llama_cpp.__version__}",
        "whole_word": WHOLE_WORD,
        "texts": TEXTS,
        "tokens": cases,
    }
    Path(__file__).with_name("tokens.json").write_text(dump(golden), encoding="utf-8")


def write_vocabulary(reader: gguf.GGUFReader, path: Path, pre: str) -> None:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    tokens, types, merges = (reader.fields[key] for key in KEYS)
    writer.add_token_list([*(bytes(tokens.parts[i]) for i in tokens.data), WHOLE_WORD.encode()])
    writer.add_token_types([*(int(types.parts[i][0]) for i in types.data), int(gguf.TokenType.NORMAL)])
    writer.add_token_merges([bytes(merges.parts[i]) for i in merges.data])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def tokenise(llama: Any, pre: str) -> dict[str, list[list[int]]]:
    # Qwen's own tokenizer composes characters first; llama.cpp leaves that to the caller.
    texts = [unicodedata.normalize("NFC", text) if pre == "qwen2" else text for text in TEXTS]
    return {
        name: [llama.tokenize(text.encode(), add_bos=False, special=special) for text in texts]
        for name, special in (("plain", False), ("control", True))
    }


def dump(golden: dict[str, Any]) -> str:
    """JSON with one line a list of tokens, so that a change reads as a diff; for equal tokens, whose they equal."""
    cases = golden["tokens"]
    first = {name: next(other for other in cases if cases[other] == cases[name]) for name in cases}
    entries = [dump_case(cases[name]) if first[name] == name else json.dumps(first[name]) for name in cases]
    tokens = ",\n".join(f"{json.dumps(name)}: {entry}" for name, entry in zip(cases, entries, strict=True))
    texts = ",\n".join(map(json.dumps, golden["texts"]))
    rest = "".join(
        f"{json.dumps(key)}: {json.dumps(golden[key])},\n" for key in golden if key not in ("texts", "tokens")
    )
    return f'{{\n{rest}"texts": [\n{texts}\n],\n"tokens": {{\n{tokens}\n}}\n}}\n'


def dump_case(case: dict[str, list[list[int]]]) -> str:
    lists = {name: ",\n".join(json.dumps(ids, separators=(",", ":")) for ids in rows) for name, rows in case.items()}
    return "{\n" + ",\n".join(f"{json.dumps(name)}: [\n{rows}\n]" for name, rows in lists.items()) + "\n}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
