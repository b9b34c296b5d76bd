"""From the text of one answer to thoughts, words and calls, however the text is cut into deltas.

It knows the tags, and the names of the functions that may be called. It does not know tokens, items or events.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable

from service.output.arguments import ArgumentsScanner
from service.output.pieces import CallArguments, CallBegin, CallEnd, Piece, Text, Thought

THINK, THOUGHT = "<think>", "</think>"
CALL, CALLED = "<tool_call>", "</tool_call>"
TAGS = frozenset({THINK, THOUGHT, CALL, CALLED})  # to some models these are special tokens
# What stands between a call's tag and its arguments, and behind these. Wherever a call may be made, a grammar holds the
# model to it.
HEAD = '\n{"name": "%s", "arguments": '
TAIL = "}\n" + CALLED


class OutputParser:
    """Takes the text as it comes and holds back only what may be the beginning of a tag, and white space before one.

    A thought stands at the beginning of an answer; a tag of one elsewhere is text. So is what looks like a call and is
    none: one of an unknown function, or in another form. Only tags and the white space beside them are left out.
    """

    def __init__(self, functions: Iterable[str] = (), *, in_thought: bool = False) -> None:
        """functions: the names of those that may be called; without any, no call is looked for. in_thought: whether
        the prompt ended with the tag of a thought."""
        self._heads = {HEAD % name + "{": name for name in functions}
        self._held, self._place = "", 0  # what is not told yet, and where in the answer it begins
        self._arguments = ArgumentsScanner()
        self._at_gap = in_thought  # whether white space that comes next belongs to a tag
        self._step: Callable[[list[Piece]], bool] = self._in_thought if in_thought else self._at_start
        self.thought_end: int | None = None if in_thought else 0  # place of what follows the thought; None within it

    def push(self, text: str) -> list[Piece]:
        """What is certain now that this text has come."""
        self._held += text
        pieces: list[Piece] = []
        while self._held and self._step(pieces):
            pass
        return pieces

    def flush(self) -> list[Piece]:
        """What was held back, when no more can come. Of a call's frame that is cut off, before or behind the arguments,
        the rest is left out: under its grammar it would have become nothing else."""
        pieces: list[Piece] = []
        if self._held and self._step == self._in_thought:
            pieces.append(Thought(self._take()))
        elif self._held and self._step not in (self._at_call, self._at_tail):
            self._tell_text(len(self._held), pieces)
        return pieces

    # Each step takes something and says whether it is worth going on, or waits for more.

    def _at_start(self, pieces: list[Piece]) -> bool:
        # Of ASCII alone, as where it is decided from which bytes on a call is held to its grammar.
        words = self._held.lstrip(string.whitespace)
        if words.startswith(THINK):
            self._take(self._held.index(THINK) + len(THINK))
            self.thought_end, self._at_gap, self._step = None, True, self._in_thought
            return True
        if THINK.startswith(words):
            return False
        self._step = self._in_text
        return True

    def _in_thought(self, pieces: list[Piece]) -> bool:
        if not self._past_gap():
            return False
        end = self._held.find(THOUGHT)
        words = self._take(_certain(self._held, THOUGHT) if end < 0 else len(self._held[:end].rstrip()))
        if words:
            pieces.append(Thought(words))
        if end < 0:
            return False
        self._take(self._held.index(THOUGHT) + len(THOUGHT))
        self.thought_end, self._at_gap, self._step = self._place, True, self._in_text
        return True

    def _in_text(self, pieces: list[Piece]) -> bool:
        if not self._past_gap():
            return False
        if not self._heads:
            self._tell_text(len(self._held), pieces)
            return False
        begin = self._held.find(CALL)
        self._tell_text(_certain(self._held, CALL) if begin < 0 else len(self._held[:begin].rstrip()), pieces)
        if begin < 0:
            return False
        self._step = self._at_call
        return True

    def _at_call(self, pieces: list[Piece]) -> bool:
        """White space, the tag, and what decides whether this is a call."""
        begin = self._held.index(CALL) + len(CALL)
        said = self._held[begin:]
        for head, name in self._heads.items():
            if said.startswith(head):
                self._take(begin + len(head) - 1)
                pieces.append(CallBegin(name))
                self._arguments, self._step = ArgumentsScanner(), self._in_arguments
                return True
        if any(head.startswith(said) for head in self._heads):
            return False
        self._tell_text(begin, pieces)
        self._step = self._in_text
        return True

    def _in_arguments(self, pieces: list[Piece]) -> bool:
        pieces.append(CallArguments(self._take(self._arguments.scan(self._held))))
        if not self._arguments.whole:
            return False
        pieces.append(CallEnd())
        self._step = self._at_tail
        return True

    def _at_tail(self, pieces: list[Piece]) -> bool:
        whole = self._held.startswith(TAIL)
        if not whole and TAIL.startswith(self._held):
            return False
        self._take(len(TAIL) if whole else 0)
        self._at_gap, self._step = whole, self._in_text
        return True

    def _past_gap(self) -> bool:
        """Leaves out the white space of a gap; whether anything else is there."""
        if self._at_gap:
            self._take(len(self._held) - len(self._held.lstrip()))
            self._at_gap = not self._held
        return not self._at_gap

    def _tell_text(self, length: int, pieces: list[Piece]) -> None:
        if length:
            start = self._place
            pieces.append(Text(self._take(length), start))

    def _take(self, length: int | None = None) -> str:
        taken = self._held[:length]
        self._held = self._held[len(taken) :]
        self._place += len(taken)
        return taken


def _certain(text: str, tag: str) -> int:
    """How many characters cannot belong to the tag, or be white space before it, whatever comes next."""
    begins = range(max(len(text) - len(tag) + 1, 0), len(text))
    begin = next((place for place in begins if tag.startswith(text[place:])), len(text))
    return len(text[:begin].rstrip())
