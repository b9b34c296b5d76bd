"""What compiles, what is refused and why, and that neither harms the process or takes long."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

from inference.grammar.compilation import compiled
from inference.grammar.compiler import KEPT, GrammarCompiler
from inference.grammar.definition import definition_of
from inference.grammar.errors import GrammarError
from inference.grammar.grammar import MAX_LENGTH, Grammar, GrammarKind
from tests.inference.grammar.answers import VOCABULARY, answer, takes

REGEX, LARK, SCHEMA, LLGUIDANCE = GrammarKind.REGEX, GrammarKind.LARK, GrammarKind.JSON_SCHEMA, GrammarKind.LLGUIDANCE


def schema(value: object, *, lenient: bool = False) -> Grammar:
    return Grammar(SCHEMA, json.dumps(value), lenient)


TAKEN = [
    (Grammar(REGEX, "[a-c]+[0-9]"), ["a1", "abc0"], ["a", "1", "a1x", "d1"]),
    (Grammar(LARK, 'start: "a" b "c"\nb: "b" b | "b"'), ["abc", "abbbc"], ["ac", "abb"]),
    (Grammar(LARK, 'start: "x" %json {"type": "integer"}'), ["x12"], ["x", "12", "x1.5"]),
    (Grammar(LLGUIDANCE, '{"grammars": [{"json_schema": {"enum": [1, "a"]}}]}'), ["1", '"a"'], ["a", "2"]),
    (schema({"type": "string", "maxLength": 2}), ['""', '"é\\n"'], ["abc", '"abc"']),
    (schema({"enum": ["on", 3, None]}), ['"on"', "3", "null"], ["on", "4", '"null"']),
    (schema({"type": "integer", "minimum": -3, "exclusiveMaximum": 12}), ["-3", "11"], ["-4", "12", "1.5"]),
    (schema({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}), ["true"], ["1"]),
    (schema({"const": "a\x01b"}), ['"a\\u0001b"'], ['"ab"']),
    (schema({"enum": [[["a\x01b"]]]}), ['[["a\\u0001b"]]'], ['[["ab"]]']),
]


@pytest.mark.parametrize(("grammar", "members", "others"), TAKEN)
def test_the_answers_of_a_grammar_are_taken_and_others_are_not(
    compiler: GrammarCompiler, grammar: Grammar, members: list[str], others: list[str]
) -> None:
    assert [text for text in members if not takes(compiler, grammar, text)] == []
    assert [text for text in others if takes(compiler, grammar, text)] == []


REFUSED = [
    (Grammar(REGEX, "[0-9"), "unclosed character class"),
    (Grammar(REGEX, "(?=a)b"), "look-around"),
    (Grammar(LARK, "start: nothing"), "nothing"),
    (Grammar(LARK, 'start: <|im_end|> "a"'), "unknown special token"),
    (Grammar(LLGUIDANCE, "{}"), "grammars"),
    (Grammar(LLGUIDANCE, "[]"), "not a JSON object"),
    (Grammar(SCHEMA, "{"), "not JSON"),
    (Grammar(SCHEMA, "true"), "not a JSON object"),
    (schema({"type": "nosuch"}), "Invalid type: nosuch"),
    (schema({"not": {"type": "string"}}), 'Unimplemented keys: ["not"]'),
    (schema({"x-guidance": {"lenient": True}, "not": {}}), 'Unimplemented keys: ["not"]'),
    (schema({"oneOf": [{"type": "number"}, {"type": "integer"}]}), "'oneOf' cannot be enforced unless"),
    (schema({"x-guidance": {"coerce_one_of": True}, "oneOf": [{}, {}]}), "'oneOf' cannot be enforced unless"),
    (schema({"type": "object", "minProperties": 2}), "'minProperties' cannot be enforced"),
    (schema({"$ref": "https://example.com/a.json"}), "Default retriever does not fetch resources"),
    (schema({"$ref": "file:///etc/passwd"}), "Default retriever does not fetch resources"),
    (schema({"$ref": "#/$defs/a"}), "does not exist"),
    (schema({"$ref": "#"}), "No answer can keep to it."),
    (schema({"type": "string", "minLength": 3, "maxLength": 2}), "Unsatisfiable schema"),
    (schema({"type": "object", "properties": {"a": False}, "required": ["a"]}), "Unsatisfiable schema"),
]


@pytest.mark.parametrize(("grammar", "reason"), REFUSED)
def test_what_cannot_be_enforced_is_refused_with_its_reason(
    compiler: GrammarCompiler, grammar: Grammar, reason: str
) -> None:
    with pytest.raises(GrammarError) as refused:
        compiler.compile(grammar)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= 301


CHAIN = 7000
HOSTILE = {
    "too long": Grammar(REGEX, "a" * (MAX_LENGTH + 1)),
    "nested beyond the stack": Grammar(REGEX, "(" * 100_000 + "a" + ")" * 100_000),
    "JSON beyond the stack": Grammar(SCHEMA, '{"items":' * 20_000 + "{}" + "}" * 20_000),
    "a multiple that takes all time": schema({"type": "integer", "multipleOf": 99_999_999}),
    "patterns that take all time": schema({"patternProperties": {f"^a{i}_": {"const": i} for i in range(600)}}),
    "alternatives of alternatives": schema(
        {"allOf": [{"anyOf": [{"properties": {f"{i}{j}": {"const": j}}} for j in range(2)]} for i in range(20)]}
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_grammar_is_refused_in_bounded_time(compiler: GrammarCompiler, name: str) -> None:
    begun = time.process_time()
    with pytest.raises(GrammarError):
        compiler.compile(HOSTILE[name])
    assert time.process_time() - begun < 3
    assert takes(compiler, Grammar(REGEX, "a+"), "aa"), "the next one is compiled as ever"


def test_a_chain_that_overflows_a_usual_stack_is_compiled(compiler: GrammarCompiler) -> None:
    links = {f"d{link}": {"$ref": f"#/$defs/d{link + 1}"} for link in range(CHAIN)}
    grammar = schema({"$defs": {**links, f"d{CHAIN}": {"const": 1}}, "$ref": "#/$defs/d0"})
    assert takes(compiler, grammar, "1")


def test_compiling_side_by_side_leaves_other_threads_their_stacks() -> None:
    """The size of a stack is said for the whole interpreter, just before a thread is begun."""
    tokenizer, definition = VOCABULARY.build(), definition_of(Grammar(REGEX, "a"))

    def compile_often() -> None:
        for _ in range(150):
            assert not compiled(tokenizer, definition).is_error()

    usual, interval = threading.stack_size(), sys.getswitchinterval()
    threads = [threading.Thread(target=compile_often) for _ in range(3)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        found = threading.stack_size(usual)
    assert found == usual


def test_the_process_that_tries_grammars_out_is_begun_again_if_it_dies(compiler: GrammarCompiler) -> None:
    compiler.compile(Grammar(REGEX, "before"))
    process = compiler._trial._process
    assert isinstance(process, subprocess.Popen)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert takes(compiler, Grammar(REGEX, "after"), "after")


def test_a_lenient_schema_is_enforced_as_a_whole_where_that_is_possible(compiler: GrammarCompiler) -> None:
    exact = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert not takes(compiler, schema(exact, lenient=True), '{"a": "x"}')
    vague = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    assert takes(compiler, schema(vague, lenient=True), "[1, 1]"), "what cannot be enforced is let be"
    assert not takes(compiler, schema(vague, lenient=True), '["a"]'), "and the rest is enforced"
    with pytest.raises(GrammarError, match="uniqueItems"):
        compiler.compile(schema(vague))
    with pytest.raises(GrammarError, match="Unsatisfiable"):
        compiler.compile(schema({"enum": []}, lenient=True))


def test_names_cannot_be_said_twice_in_other_letters(compiler: GrammarCompiler) -> None:
    grammar = schema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    assert takes(compiler, grammar, '{"a": 1, "b": "x"}')
    assert not takes(compiler, grammar, '{"a": 1, "a": "x"}')
    assert not takes(compiler, grammar, '{"a": 1, "\\u0061": "x"}')


def test_json_has_one_layout(compiler: GrammarCompiler) -> None:
    """Free white space is where a small model goes on for ever."""
    grammar = schema({"x-guidance": {"whitespace_flexible": True}, "type": "object"})
    assert takes(compiler, grammar, '{"a": [1, 2], "b": {}}')
    for text in ('{"a":1}', '{ "a": 1}', '{"a": 1 }', '{\n"a": 1}', '{"a":  1}', '{"a": 1} '):
        assert not takes(compiler, grammar, text)


def test_grammars_used_last_are_kept_and_begin_anew(compiler: GrammarCompiler) -> None:
    grammar = Grammar(REGEX, "[a-f]{3}x")
    assert compiler.kept(grammar) is None
    first = answer(compiler.compile(grammar), seed=1)
    kept = compiler.kept(grammar)
    assert kept is not None
    assert answer(kept, seed=1) == first
    for number in range(KEPT):
        compiler.compile(Grammar(REGEX, f"{number}"))
    assert compiler.kept(grammar) is None


def test_a_lenient_schema_that_is_enforced_as_a_whole_is_kept_as_such(compiler: GrammarCompiler) -> None:
    compiler.compile(schema({"enum": ["a"]}, lenient=True))
    assert compiler.kept(schema({"enum": ["a"]}, lenient=True)) is not None
    assert compiler.kept(schema({"enum": ["a"]})) is not None


def test_a_closed_compiler_lets_go_of_the_models_tokenizer() -> None:
    class Splitter:
        def __call__(self, text: str) -> list[int]:
            return []

    splitter = Splitter()
    kept = weakref.ref(splitter)
    compiler = GrammarCompiler(VOCABULARY, splitter)
    compiler.compile(Grammar(REGEX, "abc"))
    compiler.close()
    del splitter
    gc.collect()
    assert kept() is None


def test_a_vocabulary_survives_its_way_to_the_other_process() -> None:
    assert type(VOCABULARY).from_json(VOCABULARY.to_json()) == VOCABULARY
