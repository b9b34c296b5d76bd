"""The tokenizer: what counts as a control token, and which bytes a token stands for."""

import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders
from tokenizers.models import BPE

from inference.tokenizer import Tokenizer
from inference.types import ContextLengthExceeded, ModelFileError
from tests.inference.held_text import WAIT, HeldText, held_tokenizer
from tests.inference.tiny_tokenizer import CONTROL, THINK, save_tiny_tokenizer, tiny_tokenizer

TINY = Tokenizer(tiny_tokenizer())


def test_a_control_segment_recognises_special_tokens() -> None:
    assert TINY.encode([("<|im_start|>", True), ("<|im_end|>", True)]) == (1, 2)


def test_a_plain_segment_never_holds_a_special_token() -> None:
    ids = TINY.encode([("<|im_start|>", False)])
    assert not set(ids) & set(CONTROL.values())
    assert b"".join(TINY.token_bytes()[i] for i in ids) == b"<|im_start|>"


def test_segments_are_encoded_one_after_the_other() -> None:
    parts = [("<|im_start|>hi", True), (" hi<|im_end|>", False), ("<|im_end|>", True)]
    assert TINY.encode(parts) == tuple(token for part in parts for token in TINY.encode([part]))


def test_a_special_token_takes_the_white_space_of_the_next_segment_too_if_it_takes_any() -> None:
    taking = tiny_tokenizer()
    taking.add_special_tokens([AddedToken("<|user|>", special=True, normalized=False, rstrip=True)])
    tokenizer = Tokenizer(taking)
    user, other = tokenizer.special_tokens["<|user|>"], tokenizer.special_tokens["<|im_start|>"]
    assert tokenizer.encode([("<|user|>", True), ("\n hi ", False)]) == (user, *tokenizer.encode([("hi ", False)]))
    assert tokenizer.encode([("<|user|>", True), (" \n", False), ("<|im_start|>", True)]) == (user, other)
    untouched = tokenizer.encode([(" <|user|>", False), (" hi", False)])
    assert untouched == (*tokenizer.encode([(" <|user|>", False)]), *tokenizer.encode([(" hi", False)]))
    assert tokenizer.encode([("<|im_start|>", True), (" hi", False)]) == (other, *tokenizer.encode([(" hi", False)]))


def test_no_segments_and_empty_segments_have_no_tokens() -> None:
    assert TINY.encode([]) == ()
    assert TINY.encode([("", True), ("", False)]) == ()


def test_added_tokens_that_are_not_special_are_recognised_in_both_kinds() -> None:
    assert TINY.encode([(THINK, True)]) == TINY.encode([(THINK, False)])
    assert len(TINY.encode([(THINK, False)])) == 1


def test_special_tokens_are_listed_with_their_ids() -> None:
    assert TINY.special_tokens == CONTROL
    assert TINY.token(2) == "<|im_end|>"
    assert TINY.token(TINY.vocab_size) is None


def many_added(*, in_vocabulary: bool, count: int) -> Tokenizer:
    """Special tokens and ones that are not, in turn."""
    texts = [f"<token {number}>" for number in range(count)]
    vocabulary = [*"abc", *(texts if in_vocabulary else [])]
    tokenizer = tokenizers.Tokenizer(BPE(vocab={text: index for index, text in enumerate(vocabulary)}, merges=[]))
    for kind in range(2) if in_vocabulary else range(count):
        added = texts[kind::2] if in_vocabulary else [texts[kind]]
        special = kind % 2 == 0
        add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
        add([AddedToken(text, special=special, normalized=False) for text in added])
    return Tokenizer(tokenizer)


def test_thousands_of_added_tokens_are_taken_over_soon() -> None:
    """Gemma 3 has 6,242, and models of speech tens of thousands."""
    began = time.thread_time()
    tokenizer = many_added(in_vocabulary=True, count=6000)
    assert time.thread_time() - began < 2
    assert tokenizer.encode([("<token 4999>b", False)]) == (3 + 4999, 1)


def test_added_tokens_that_the_vocabulary_has_not_keep_their_ids() -> None:
    tokenizer = many_added(in_vocabulary=False, count=9)
    assert [tokenizer.encode([(f"<token {number}>", False)]) for number in (1, 3, 5, 7)] == [(4,), (6,), (8,), (10,)]
    assert list(tokenizer.special_tokens.values()) == [3, 5, 7, 9, 11]


def test_a_text_that_cannot_fit_is_refused_before_it_is_encoded() -> None:
    longest = len("<|endoftext|>")
    assert len(TINY.encode([("x" * longest * 10, False)], limit=10)) == longest * 10
    with pytest.raises(ContextLengthExceeded) as caught:
        TINY.encode([("x" * longest * 10, False), ("x", True)], limit=10)
    assert (caught.value.prompt_tokens, caught.value.limit) == (11, 10)


def test_threads_that_share_a_tokenizer_do_not_change_each_others_kind_of_segment() -> None:
    text, plain = "<|im_end|>" * 50, TINY.encode([("<|im_end|>" * 50, False)])
    start = threading.Barrier(4)

    def encode(is_control: bool) -> set[tuple[int, ...]]:
        start.wait()
        return {TINY.encode([(text, is_control)]) for _ in range(50)}

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(encode, [True, False, True, False]))
    assert results == [{(2,) * 50}, {plain}, {(2,) * 50}, {plain}]


def test_a_short_text_does_not_wait_for_a_long_one_on_another_thread() -> None:
    held = HeldText("a long text")
    tokenizer = Tokenizer(held_tokenizer(held))
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(tokenizer.encode, [("a long text", False)])
        try:
            assert held.reached.wait(WAIT)
            for kind in (True, False):
                assert pool.submit(tokenizer.encode, [("hi", kind)]).result(WAIT)
            assert not long.done()
        finally:
            held.let_go.set()
        assert long.result(WAIT)


def test_a_prompt_is_neither_cut_nor_filled_up_whatever_the_file_says() -> None:
    limited = tiny_tokenizer()
    limited.enable_truncation(3)
    limited.enable_padding(length=20)
    for kind in (True, False):
        assert Tokenizer(limited).encode([("five.", kind)]) == TINY.encode([("five.", kind)])


def test_the_interpreter_runs_on_while_a_long_text_is_encoded() -> None:
    """Threads that only change places when one gives up the lock: this one gets its turn before encode ends."""
    started, ended = threading.Event(), threading.Event()

    def encode() -> None:
        started.set()
        TINY.encode([("hi there, " * 50_000, False)])
        ended.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        thread = threading.Thread(target=encode)
        thread.start()
        started.wait()
        ended_first = ended.is_set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not ended_first


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_bytes_of_a_plain_texts_tokens_are_the_text(text: str) -> None:
    table = TINY.token_bytes()
    assert b"".join(table[token] for token in TINY.encode([(text, False)])) == text.encode()


def test_special_tokens_have_no_bytes_and_added_ones_their_text() -> None:
    table = TINY.token_bytes()
    assert len(table) == TINY.vocab_size
    assert [table[i] for i in CONTROL.values()] == [b"", b"", b""]
    assert table[TINY.encode([(THINK, False)])[0]] == THINK.encode()


def test_a_large_vocabulary_is_held_as_bytes_alone() -> None:
    """As Python strings it is several times as large, and what is freed after loading stays with the process."""
    count = 40_000
    vocabulary = {f"token{index:06}": index for index in range(count)}
    large = tokenizers.Tokenizer(BPE(vocab=vocabulary, merges=[]))
    large.decoder = decoders.ByteLevel()
    tracemalloc.start()
    try:
        tokenizer = Tokenizer(large)
        tracemalloc.reset_peak()
        held, _ = tracemalloc.get_traced_memory()
        table = tokenizer.token_bytes()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(table), table[-1]) == (count, b"token039999")
    assert held < 100_000
    assert peak - after < 100_000


def test_unused_ids_have_no_bytes() -> None:
    sparse = tokenizers.Tokenizer(BPE(vocab={"a": 0, "b": 5}, merges=[]))
    sparse.decoder = decoders.ByteLevel()
    assert Tokenizer(sparse).token_bytes() == [b"a", b"", b"", b"", b"", b"b"]


def test_a_byte_level_token_outside_the_alphabet_stands_for_its_text() -> None:
    odd = tokenizers.Tokenizer(BPE(vocab={"日": 0, "Ġa": 1}, merges=[]))
    odd.decoder = decoders.ByteLevel()
    assert Tokenizer(odd).token_bytes() == ["日".encode(), b" a"]


def test_sentencepiece_tokens_stand_for_spaces_and_single_bytes() -> None:
    vocabulary = {"<unk>": 0, "<s>": 1, "<0x0A>": 2, "<0xE6>": 3, "▁the": 4, "▁▁": 5, "日": 6, "<0x00>": 7}
    sentencepiece = tokenizers.Tokenizer(BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    sentencepiece.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    sentencepiece.add_special_tokens([AddedToken("<unk>", special=True), AddedToken("<s>", special=True)])
    table = Tokenizer(sentencepiece).token_bytes()
    assert table == [b"", b"", b"\n", b"\xe6", b" the", b"  ", "日".encode(), b"\x00"]


def test_a_saved_tokenizer_opens_as_the_same_one(tmp_path: Path) -> None:
    save_tiny_tokenizer(tmp_path / "tokenizer.json")
    opened = Tokenizer.open(tmp_path / "tokenizer.json")
    assert opened.token_bytes() == TINY.token_bytes()
    assert opened.encode([("<|im_start|>hi", True)]) == TINY.encode([("<|im_start|>hi", True)])


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe", b'{"version": "1.0", "model": 3}'])
def test_a_missing_or_broken_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"tokenizer\.json is "):
        Tokenizer.open(path)
