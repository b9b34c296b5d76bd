"""A model that answers: a name, a tokenizer, a chat template, grammars and an engine that runs.

It knows no calls and no responses, and not where the model came from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.after_tag import Overshoot, overshoot
from inference.call_choice import beginnings_of, openings_of
from inference.chat import ChatTemplate, Segment
from inference.stream import AsyncEngine
from inference.tokenizer import Tokenizer
from inference.types import MIN_ROOM
from service.models.grammars import Grammars
from service.output.parser import CALL, THINK

OWNED_BY = "answerd"
# Below it, rendering and encoding take about a millisecond: less than a thread is worth.
LONG_TEXT = 4000
MANY_MESSAGES = 100


class ServedModel:
    """Belongs to one event loop, that of its engine."""

    def __init__(
        self,
        name: str,
        created: int,
        context_length: int,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        engine: AsyncEngine,
        grammars: Grammars,
    ) -> None:
        """created: seconds since 1970. context_length: tokens of prompt and answer together, of one slot."""
        self.name, self.created, self.context_length, self.engine = name, created, context_length, engine
        self.grammars = grammars
        self.longest_prompt = context_length - MIN_ROOM
        self._tokenizer, self._template = tokenizer, template

    @property
    def vocab_size(self) -> int:
        """Token ids are below it."""
        return len(self.engine.token_bytes)

    def bytes_of(self, token: int) -> bytes:
        """What a token reads as, also where it adds nothing to a text, as control tokens do."""
        return self.engine.token_bytes[token] or (self._tokenizer.token(token) or "").encode()

    @property
    def native_calls(self) -> bool:
        """Whether the model's template knows tools, and writes calls in the form that is looked for in answers."""
        return "tools" in self._template.variables and CALL in self._template.source

    @property
    def thinks(self) -> bool:
        """Whether the model's template knows thoughts."""
        return THINK in self._template.source

    @cached_property
    def over_call_tag(self) -> Overshoot:
        """The tokens that would say the end of a call's tag and more; looked for when first asked for (10 ms)."""
        return overshoot(self.engine.token_bytes, CALL.encode())

    @cached_property
    def call_openings(self) -> NDArray[np.intp]:
        """The tokens that begin a call in some notation; looked for when first asked for (10 ms)."""
        return openings_of(self.engine.token_bytes)

    @cached_property
    def call_beginnings(self) -> NDArray[np.intp]:
        """The tokens that a call's tag may begin with; looked for when first asked for (10 ms)."""
        return beginnings_of(self.engine.token_bytes, CALL)

    async def prompt(self, messages: Sequence[Mapping[str, Any]], **variables: Any) -> tuple[int, ...]:
        """The token ids of a conversation, up to where the answer begins. Long ones are encoded on another thread.

        variables: of the template, beside the messages.

        Raises TemplateError if the template refuses the messages, ContextLengthExceeded if they cannot fit.
        """
        length = sum(len(message["content"]) for message in messages) + len(repr(variables))
        if len(messages) > MANY_MESSAGES or length > LONG_TEXT:
            return await asyncio.to_thread(self._encode, messages, variables)
        return self._encode(messages, variables)

    def _encode(self, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> tuple[int, ...]:
        segments: list[Segment] = self._template.render(messages, **variables)
        return self._tokenizer.encode(segments, limit=self.longest_prompt)

    async def close(self) -> None:
        """End what lives with STOPPED; may be called more than once."""
        await self.engine.close()
        await self.grammars.close()
