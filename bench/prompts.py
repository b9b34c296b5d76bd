"""Prompts of an exact number of tokens, the chat template's included, whose answers are long.

Knows the model's tokenizer and template. No two prompts share more than the first few tokens, so none reuses another's
computation.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from inference.model import ModelDirectory

NEVER = -100.0  # the strongest bias that a request may have
# The number comes first: prompts part before anything worth reusing.
SYSTEM = "{number} is your number, and you tell long stories."
ASK = "Write a very long story with many chapters. It is about"
# Common words: in most vocabularies each is one token with the space before it.
WORDS = (
    "river",
    "mountain",
    "house",
    "garden",
    "village",
    "forest",
    "window",
    "teacher",
    "winter",
    "summer",
    "bridge",
    "market",
    "island",
    "letter",
    "music",
    "kitchen",
    "doctor",
    "farmer",
    "castle",
    "ocean",
    "train",
    "horse",
    "silver",
    "paper",
    "stone",
    "bread",
    "road",
    "school",
    "night",
    "morning",
    "friend",
    "brother",
    "sister",
    "mother",
    "father",
    "queen",
    "king",
    "ship",
    "storm",
    "field",
)  # fmt: skip


class PromptError(Exception):
    """No text of that length can be made with this model's tokenizer."""


@dataclass(frozen=True)
class Prompt:
    """One request: what a client of the product sends, and the same as the token ids that a bare engine takes."""

    instructions: str
    text: str
    tokens: tuple[int, ...]


class PromptMaker:
    """Makes prompts from a seed: the same seed gives the same prompts."""

    def __init__(self, model: ModelDirectory, seed: int) -> None:
        self._model = model
        self._random = random.Random(seed)
        self._numbers: set[int] = set()

    @property
    def endless(self) -> dict[str, dict[str, float]]:
        """Parameters of a request whose answer must not end early: the model's end tokens are never drawn."""
        return {"logit_bias": {str(token): NEVER for token in sorted(self._model.config.eos_token_ids)}}

    def make(self, length: int) -> Prompt:
        """A prompt of exactly `length` tokens, unlike all others of this maker. Raises PromptError."""
        instructions = SYSTEM.format(number=self._new_number())
        text = ASK
        tokens = self._tokens(instructions, text)
        while len(tokens) < length:
            # Half of what is missing at a time, since a word may be more than one token.
            more = max(1, (length - len(tokens)) // 2)
            text = " ".join([text, *self._random.choices(WORDS, k=more)])
            tokens = self._tokens(instructions, text)
        if len(tokens) != length:
            raise PromptError(f"No prompt of {length} tokens: the nearest one has {len(tokens)}.")
        return Prompt(instructions, text, tokens)

    def of(self, text: str) -> Prompt:
        """The prompt of this text and nothing else, whatever its length."""
        tokens = self._model.tokenizer.encode(self._model.template.render([{"role": "user", "content": text}]))
        return Prompt("", text, tokens)

    def many(self, count: int, length: int) -> list[Prompt]:
        return [self.make(length) for _ in range(count)]

    def _new_number(self) -> int:
        while (number := self._random.randrange(10**5, 10**6)) in self._numbers:
            pass
        self._numbers.add(number)
        return number

    def _tokens(self, instructions: str, text: str) -> tuple[int, ...]:
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
        return self._model.tokenizer.encode(self._model.template.render(messages))
