"""Which tokens may follow: the grammar's, an end token exactly where an answer may end, and nothing after an error."""

import numpy as np
import pytest

from inference.grammar.compiler import GrammarCompiler
from inference.grammar.grammar import ANY_OBJECT, Grammar, GrammarKind
from inference.grammar.vocabulary import Vocabulary
from tests.inference.grammar.answers import END, TOKEN_BYTES, allowed, follow

DIGITS = Grammar(GrammarKind.REGEX, "[0-9]+(,[0-9]+)?")


def texts(tokens: set[int]) -> set[bytes]:
    return {TOKEN_BYTES[token] for token in tokens}


def test_an_end_token_may_come_exactly_where_the_answer_may_end(compiler: GrammarCompiler) -> None:
    matcher = compiler.compile(DIGITS)
    digits = {bytes([byte]) for byte in b"0123456789"}
    assert texts(allowed(matcher)) == digits
    follow(matcher, "12")
    assert allowed(matcher) - {END} == {TOKEN_BYTES.index(text) for text in [*digits, b","]}
    assert END in allowed(matcher)
    follow(matcher, ",")
    assert END not in allowed(matcher)


def test_an_answer_that_nothing_may_follow_is_finished_without_an_end_token(compiler: GrammarCompiler) -> None:
    matcher = compiler.compile(ANY_OBJECT)
    follow(matcher, '{"a": [1, {"b": null}]')
    assert not matcher.finished
    follow(matcher, "}")
    assert matcher.finished


def test_an_answer_that_may_be_empty_may_end_at_once(compiler: GrammarCompiler) -> None:
    matcher = compiler.compile(Grammar(GrammarKind.REGEX, "a?"))
    assert not matcher.finished
    assert END in allowed(matcher)


def test_special_tokens_may_come_only_where_the_grammar_names_them(compiler: GrammarCompiler) -> None:
    anything = compiler.compile(Grammar(GrammarKind.REGEX, "(?s:.*)"))
    assert allowed(anything) & {0, 1, END} == {END}
    named = compiler.compile(Grammar(GrammarKind.LARK, 'start: <|im_start|> "hi"'))
    assert allowed(named) == {1}


def test_a_grammar_that_asks_for_an_end_token_in_its_middle_gets_none(compiler: GrammarCompiler) -> None:
    """The answer would end there, and not be one of the grammar's."""
    matcher = compiler.compile(Grammar(GrammarKind.LARK, f'start: "a" <[{END}]>? "b"'))
    follow(matcher, "a")
    assert texts(allowed(matcher)) == {b"b"}


def test_a_fork_goes_its_own_way(compiler: GrammarCompiler) -> None:
    matcher = compiler.compile(DIGITS)
    follow(matcher, "1")
    fork = matcher.fork()
    follow(fork, ",2")
    assert TOKEN_BYTES.index(b",") in allowed(matcher)
    assert TOKEN_BYTES.index(b",") not in allowed(fork)


def test_masking_twice_is_masking_once(compiler: GrammarCompiler) -> None:
    matcher = compiler.compile(DIGITS)
    assert allowed(matcher) == allowed(matcher)


def test_after_a_token_that_may_not_come_nothing_may(
    compiler: GrammarCompiler, caplog: pytest.LogCaptureFixture
) -> None:
    """An end token least of all: the answer would pass for a whole one."""
    matcher = compiler.compile(DIGITS)
    matcher.accept(TOKEN_BYTES.index(b"x"))
    assert not matcher.finished
    assert allowed(matcher) == set()
    assert "a grammar failed" in caplog.text


def test_the_logits_of_tokens_that_may_come_stay_as_they_are(compiler: GrammarCompiler) -> None:
    logits = np.arange(len(TOKEN_BYTES), dtype=np.float32)
    compiler.compile(DIGITS).mask(logits)
    kept = np.flatnonzero(np.isfinite(logits))
    assert (logits[kept] == kept).all()


def test_ids_beyond_the_tokenizer_may_never_come() -> None:
    """A model's table of tokens may be longer than its tokenizer's."""
    padded = GrammarCompiler(Vocabulary.of([*TOKEN_BYTES, b"", b""], {}, frozenset({END})))
    logits = np.zeros(len(TOKEN_BYTES) + 2, np.float32)
    padded.compile(Grammar(GrammarKind.REGEX, "(?s:.*)")).mask(logits)
    padded.close()
    assert np.isinf(logits[-2:]).all()
    assert np.isfinite(logits).sum() > 150
