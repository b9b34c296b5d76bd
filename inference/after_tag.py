"""A constraint that begins where an answer says a tag. It knows no grammar, and of thoughts only where they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.bitmask import Bitmask, all_of, without
from inference.constraint import Constraint
from inference.runner import Logits

Overshoot = Mapping[int, NDArray[np.intp]]
"""Tokens that would say the last so many bytes of a tag and more, by that number; 0 for all of the tag and more."""


def overshoot(token_bytes: Sequence[bytes], tag: bytes) -> Overshoot:
    """token_bytes: what each token id adds to the text."""
    found: dict[int, list[int]] = {}
    for token, said in enumerate(token_bytes):
        if tag[-1] not in said[:-1]:
            continue
        if tag in said[:-1]:
            found.setdefault(0, []).append(token)
        for length in range(1, min(len(tag), len(said))):
            if said.startswith(tag[-length:]):
                found.setdefault(length, []).append(token)
    return {length: np.array(tokens) for length, tokens in found.items()}


class AfterTag:
    """A Constraint: free until the answer has said the tag outside of the thought that it may begin with; from there on
    another one holds. A token that would say the end of the tag and more is forbidden, so that nothing slips by.
    """

    def __init__(
        self,
        inner: Constraint,
        tag: str,
        over: Overshoot,
        token_bytes: Sequence[bytes],
        thought: tuple[str, str],
        *,
        in_thought: bool = False,
    ) -> None:
        """over: what `overshoot` gives for the tag. thought: the tags around one. in_thought: whether the answer begins
        within one."""
        self._inner, self._tag, self._over, self._token_bytes = inner, tag.encode(), over, token_bytes
        self._begin, self._end = (each.encode() for each in thought)
        self._said = b""  # the answer so far, or as much of its end as matters
        self._fresh = not in_thought  # a thought may begin
        self._in_thought = in_thought
        self._called = False

    @property
    def finished(self) -> bool:
        return self._called and self._inner.finished

    def allows(self, token: int) -> bool:
        if self._called:
            return self._inner.allows(token)
        return not any(token in tokens for tokens in self._forbidden())

    def bitmask(self, logits: Logits) -> Bitmask | None:
        if self._called:
            return self._inner.bitmask(logits)
        forbidden = self._forbidden()
        return without(all_of(len(logits)), np.concatenate(forbidden)) if forbidden else None

    def _forbidden(self) -> list[NDArray[np.intp]]:
        """Tokens that would say the end of the tag and more."""
        if self._in_thought:
            return []
        tails = self._over.items()
        return [tokens for length, tokens in tails if length == 0 or self._said.endswith(self._tag[:-length])]

    def forced(self) -> Sequence[int]:
        return self._inner.forced() if self._called else ()

    def accept(self, token: int) -> None:
        if self._called:
            self._inner.accept(token)
            return
        self._said += self._token_bytes[token]
        if self._fresh:
            words = self._said.lstrip()
            self._in_thought = words.startswith(self._begin)
            self._fresh = not self._in_thought and self._begin.startswith(words)
        if self._in_thought:
            self._in_thought = self._end not in self._said
        self._called = not self._in_thought and self._said.endswith(self._tag)
        if not self._fresh:
            self._said = self._said[-max(len(self._tag), len(self._end)) :]
