"""One compilation: a matcher at its beginning, within limits of depth and size. It knows no processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

# Reserved, not used: some of the compiler's recursions are as deep as a grammar is long.
_STACK_BYTES = 2**29

# The size is the interpreter's for every thread that is begun: two models that compile at the same time take turns.
_STACK_SIZE = threading.Lock()

_T = TypeVar("_T")


def compiled(tokenizer: LLTokenizer, definition: str) -> LLMatcher:
    """A matcher; its error, if it has one, says what is wrong with the definition. The interpreter lock is free.

    The limits bound what a mask costs, and leave out none of SchemaStore's schemas that llguidance compiles at all.
    """
    limits = LLParserLimits(
        max_items_in_row=500,
        initial_lexer_fuel=500_000,
        step_lexer_fuel=50_000,
        step_max_items=10_000,
        max_lexer_states=20_000,
        max_grammar_size=100_000,
        verbose_errors=False,
    )
    return _on_deep_stack(lambda: LLMatcher(tokenizer, definition, limits=limits, log_level=0))


def _on_deep_stack(work: Callable[[], _T]) -> _T:
    results: list[_T] = []
    thread = threading.Thread(target=lambda: results.append(work()), name="grammar")
    with _STACK_SIZE:
        usual = threading.stack_size(_STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(usual)
    thread.join()
    return results[0]
