"""A compiler for a tiny vocabulary, shared by the tests of grammars."""

from collections.abc import Iterator

import pytest

from inference.grammar.compiler import GrammarCompiler
from tests.inference.grammar.answers import VOCABULARY


@pytest.fixture(scope="session")
def compiler() -> Iterator[GrammarCompiler]:
    compiler = GrammarCompiler(VOCABULARY)
    yield compiler
    compiler.close()
