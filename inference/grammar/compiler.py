"""Compiles grammars for one model. It knows the model's tokens, and no requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace

from llguidance import LLTokenizer

from inference.grammar.compilation import compiled
from inference.grammar.definition import definition_of
from inference.grammar.errors import GrammarError
from inference.grammar.grammar import Grammar
from inference.grammar.matcher import GrammarMatcher
from inference.grammar.reasons import reason_of
from inference.grammar.trial import Trial
from inference.grammar.vocabulary import Split, TokenizerSource, Vocabulary

KEPT = 32  # compiled grammars, each a few MB at the most that the limits allow


class GrammarCompiler:
    """Safe to share between threads. The grammars used last are kept, so that using one again costs nothing."""

    def __init__(self, vocabulary: Vocabulary, split: Split | None = None) -> None:
        """split: as the model's tokenizer splits text; called by whichever thread asks what may follow."""
        self._vocabulary = vocabulary
        self._trial = Trial(vocabulary)
        self._source = TokenizerSource(vocabulary, split)
        self._tokenizer: LLTokenizer | None = None
        self._kept: OrderedDict[Grammar, GrammarMatcher] = OrderedDict()
        self._lock = threading.Lock()  # of what is kept
        self._compiling = threading.Lock()

    def kept(self, grammar: Grammar) -> GrammarMatcher | None:
        """A matcher at its beginning, if this grammar was compiled lately."""
        with self._lock:
            for known in (replace(grammar, lenient=False), grammar):
                if (first := self._kept.get(known)) is not None:
                    self._kept.move_to_end(known)
                    return first.fork()
        return None

    def compile(self, grammar: Grammar) -> GrammarMatcher:
        """A matcher at its beginning. Takes milliseconds, for a model's first grammar half a second, at worst seconds:
        it belongs on a thread of its own, and one at a time is compiled.

        A lenient grammar is enforced as a whole where that is possible. Raises GrammarError, whose text says what is
        wrong with the grammar.
        """
        with self._compiling:
            if (kept := self.kept(grammar)) is not None:
                return kept
            if grammar.lenient:
                with suppress(GrammarError):
                    return self._compile(replace(grammar, lenient=False))
            return self._compile(grammar)

    def close(self) -> None:
        """End the process that tries grammars out, and let go of the tokenizer; what runs goes on."""
        self._trial.close()
        self._source.close()

    def _compile(self, grammar: Grammar) -> GrammarMatcher:
        definition = definition_of(grammar)
        self._trial.check(definition)
        if self._tokenizer is None:
            self._tokenizer = self._source.build()
        matcher = compiled(self._tokenizer, definition)
        if matcher.is_error():
            raise GrammarError(reason_of(matcher))
        first = GrammarMatcher(matcher, self._vocabulary.ends)
        with self._lock:
            self._kept[grammar] = first
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return first.fork()
