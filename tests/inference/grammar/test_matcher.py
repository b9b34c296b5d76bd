"""Which tokens may follow: the grammar's, an end token exactly where an answer may end, and nothing after an error."""

import numpy as np
import pytest

from inference.grammar.compiler import GrammarCompiler
from inference.grammar.grammar import ANY_OBJECT, Grammar, GrammarKind
from inference.grammar.vocabulary import Vocabulary
from inference.sampling.parameters import SamplingParams
from inference.sampling.sampler import Sampler
from inference.sampling.state import SamplerState
from tests.inference.allowed_tokens import allowed_tokens
from tests.inference.grammar.answers import END, TOKEN_BYTES, TOKENIZER, VOCABULARY, allowed, follow

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


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        (DIGITS, "12,3"),
        (ANY_OBJECT, '{"a\\n": [1.5e3, {"bc": null}, "é"], "d": true}'),
        (Grammar(GrammarKind.JSON_SCHEMA, '{"type": "array", "items": {"enum": ["ab", 12]}}'), '["ab", 12, "ab"]'),
        (Grammar(GrammarKind.JSON_SCHEMA, '{"type": "string", "maxLength": 5, "pattern": "^a"}'), '"abcde"'),
        (Grammar(GrammarKind.LARK, 'start: <|im_start|> "hi" | "b"*'), "bbb"),
    ],
    ids=["regex", "object", "enum", "length", "special"],
)
def test_single_tokens_are_allowed_that_all_together_have(
    compiler: GrammarCompiler, grammar: Grammar, text: str
) -> None:
    matcher = compiler.compile(grammar)
    for char in text:
        assert {token for token in range(len(TOKEN_BYTES)) if matcher.allows(token)} == allowed(matcher)
        follow(matcher, char)


def test_a_text_that_is_certain_may_be_split_as_the_model_does_and_comes_in_few_tokens_otherwise() -> None:
    tokens = [*TOKEN_BYTES, b"na", b"nam", b"name", b'":']
    compiler = GrammarCompiler(Vocabulary.of(tokens, {}, frozenset({END})))
    schema = '{"properties": {"name": {"enum": [1]}}, "required": ["name"], "additionalProperties": false}'
    matcher = compiler.compile(Grammar(GrammarKind.JSON_SCHEMA, schema))
    follow(matcher, '{"')
    assert {tokens[token] for token in range(len(tokens)) if matcher.allows(token)} == {b"n", b"na", b"nam", b"name"}
    sampler, logits = Sampler.of(len(tokens)), np.zeros((1, len(tokens)), np.float32)
    logits[0, [tokens.index(text) for text in (b"n", b"nam", b"x")]] = 9.0
    splits = set()
    for seed in range(20):
        state, said = SamplerState(SamplingParams(seed=seed), constraint=matcher.fork()), list[bytes]()
        while not state.finished:
            said.append(tokens[sampler.sample(logits, [state])[0].token])
        assert b"".join(said) == b'name": 1}'
        splits.add(said[0])
    assert splits == {b"n", b"nam", b"name"}
    compiler.close()


@pytest.mark.parametrize(
    ("split", "forced"),
    [
        ([b"na", b"me", b":"], [b"na", b"me", b":"]),
        ([b" name", b":"], [b"name", b":"]),  # some tokenizers put a space before a text; the longest ones come then
    ],
)
def test_a_text_that_has_to_come_is_known_as_the_tokenizer_splits_it(split: list[bytes], forced: list[bytes]) -> None:
    tokens = [*TOKEN_BYTES, b"na", b"me", b"name", b" name"]
    compiler = GrammarCompiler(
        Vocabulary.of(tokens, {}, frozenset({END})), lambda text: [tokens.index(piece) for piece in split]
    )
    matcher = compiler.compile(Grammar(GrammarKind.LARK, 'start: "name:" /[0-9]/ "."'))
    assert [tokens[token] for token in matcher.forced()] == forced
    matcher.accept(tokens.index(b"n"))
    assert b"".join(tokens[token] for token in matcher.forced()) == b"ame:"
    for text in b"ame:":
        matcher.accept(tokens.index(bytes([text])))
    assert not matcher.forced()
    compiler.close()


def test_asking_twice_is_asking_once(compiler: GrammarCompiler) -> None:
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


def test_ids_beyond_the_tokenizer_may_never_come() -> None:
    """A model's table of tokens may be longer than its tokenizer's."""
    padded = GrammarCompiler(Vocabulary.of([*TOKEN_BYTES, b"", b""], {}, frozenset({END})))
    tokens = allowed_tokens(padded.compile(Grammar(GrammarKind.REGEX, "(?s:.*)")), len(TOKEN_BYTES) + 2)
    padded.close()
    assert max(tokens) < len(TOKEN_BYTES)
    assert len(tokens) > 150


def test_a_text_that_reads_like_a_special_token_is_written_as_text() -> None:
    """Whatever the tokenizer makes of it: to the grammar the special token is another one."""
    name = "<|im_start|>"
    compiler = GrammarCompiler(VOCABULARY, TOKENIZER.split)
    matcher = compiler.compile(Grammar(GrammarKind.JSON_SCHEMA, f'{{"const": "a{name}b"}}'))
    sampler, said = Sampler.of(len(TOKEN_BYTES)), b""
    state = SamplerState(SamplingParams(top_k=5, seed=1), constraint=matcher)
    while not state.finished:
        forced = b"".join(TOKEN_BYTES[token] for token in matcher.forced())
        assert forced == f'"a{name}b"'.encode()[len(said) :]
        said += TOKEN_BYTES[sampler.sample(np.zeros((1, len(TOKEN_BYTES)), np.float32), [state])[0].token]
    assert said == f'"a{name}b"'.encode()
    compiler.close()
