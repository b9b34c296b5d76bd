"""The grammars that answers of one model keep to, compiled beside the event loop. It knows no requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from inference.constraint import Constraint
from inference.grammar.compiler import GrammarCompiler
from inference.grammar.grammar import Grammar
from inference.grammar.matcher import GrammarMatcher
from inference.types import EngineStopped, QueueFull


class Grammars:
    """Belongs to one event loop. limit: grammars that may wait to be compiled, one after the other."""

    def __init__(self, compiler: GrammarCompiler, limit: int) -> None:
        self._compiler, self._limit = compiler, limit
        # One thread, since one grammar at a time is compiled: a hostile one takes seconds, and others wait for threads.
        self._thread = ThreadPoolExecutor(1, "grammars")
        self._waiting = 0
        self._closed = False

    async def constraints(self, grammar: Grammar, answers: int) -> Sequence[Constraint]:
        """A constraint for each of so many answers, at its beginning.

        Raises GrammarError, whose text says what is wrong with the grammar, QueueFull and EngineStopped.
        """
        first = self._compiler.kept(grammar) or await self._compiled(grammar)
        return [first, *(first.fork() for _ in range(answers - 1))]

    async def close(self) -> None:
        """Refuse what waits, and end the compiler after what it does now; may be called more than once."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._compiler.close)
            self._thread.shutdown(wait=False)

    async def _compiled(self, grammar: Grammar) -> GrammarMatcher:
        self._check_open()
        if self._waiting >= self._limit:
            raise QueueFull(f"{self._waiting} grammars wait to be compiled.")
        self._waiting += 1
        try:
            # One that nobody waits for any more is not begun.
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._compile, grammar)
        finally:
            self._waiting -= 1

    def _compile(self, grammar: Grammar) -> GrammarMatcher:
        self._check_open()
        return self._compiler.compile(grammar)

    def _check_open(self) -> None:
        if self._closed:
            raise EngineStopped("No more grammars are compiled: the model is closed.")
