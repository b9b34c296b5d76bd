"""From a request to the prompt that its model reads: checked, put together with its history, encoded.

The same for a request that is run and for one whose tokens are counted. It submits nothing and knows no gRPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from google.protobuf.message import Message

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import ItemList
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest
from answerd.v1.item_pb2 import Item
from answerd.v1.truncation_pb2 import Truncation
from inference.types import ContextLengthExceeded
from service.compactions import Compactions
from service.conversation import ChatMessage, chat_messages
from service.history import load_history
from service.input_items import given_items, normalise
from service.models.catalogue import Models
from service.models.served import ServedModel
from service.references import has_references, resolved
from service.store import Store
from service.thinking import thinking_variables
from service.tools.outputs import check_outputs
from service.tools.telling import signatures, told_functions, with_preamble
from service.truncation import fitting_prompt, room_for_prompt
from service.validate import validate
from service.validate.counts import MANY_PARTS, check_length, has_long_tools, is_large
from service.validate.request import DEFAULT_MODEL


class Prompts:
    """Makes prompts of requests. Its methods raise ServiceError, and what `service_error_of` knows."""

    def __init__(self, store: Store, default_max_output_tokens: int) -> None:
        self._store, self._default_budget = store, default_max_output_tokens
        self.compactions = Compactions(store)

    async def read(
        self, owner: str, request: CreateResponseRequest, longest_prompt: int, *, input_optional: bool = False
    ) -> ItemList:
        """The request's own input, as it is stored; everything else about the request is checked, too.

        longest_prompt: in tokens, of the model that is asked for. input_optional: a parent will do.
        """
        check_length(request, longest_prompt)
        large = is_large(request)
        read = partial(_validated, request, input_optional)
        items = await asyncio.to_thread(read) if large else read()
        if has_references(items):
            items = await resolved(items, owner, self._store.find_item)
        await self.compactions.check(owner, items.items)
        await asyncio.to_thread(normalise, items) if large else normalise(items)
        return items

    async def prompt(
        self, owner: str, request: CreateResponseRequest, items: ItemList, model: ServedModel
    ) -> tuple[int, ...]:
        """The token ids, up to where the answer begins; items: what `read` gave."""
        conversation = await self.conversation(owner, request, items)

        async def encode(shown: Sequence[Item]) -> tuple[int, ...]:
            return await self.encode(owner, request, shown, model)

        if request.truncation != Truncation.TRUNCATION_AUTO:
            return await encode(conversation)
        budget = request.max_output_tokens if request.HasField("max_output_tokens") else self._default_budget
        return await fitting_prompt(conversation, encode, room_for_prompt(model.context_length, budget))

    async def conversation(self, owner: str, request: CreateResponseRequest, items: ItemList) -> list[Item]:
        """The history of the request, and its own items; each output has its call."""
        history = []
        if request.HasField("previous_response_id"):
            history = await load_history(self._store.chain, owner, request.previous_response_id)
        conversation = [*history, *items.items]
        check_outputs(conversation)
        return conversation

    async def encode(
        self, owner: str, request: CreateResponseRequest, conversation: Sequence[Item], model: ServedModel
    ) -> tuple[int, ...]:
        """The prompt of a conversation as it is, in the frame that the request gives it."""
        shown = await self.compactions.expanded(owner, conversation)
        tell = partial(_told, request, shown, native_calls=model.native_calls)
        large = len(shown) > MANY_PARTS or has_long_tools(request)
        messages, variables = await asyncio.to_thread(tell) if large else tell()
        prompt = await model.prompt(messages, **variables)
        if len(prompt) > model.longest_prompt:
            raise ContextLengthExceeded(len(prompt), model.longest_prompt)
        return prompt

    async def count(self, owner: str, counted: CountInputTokensRequest, models: Models) -> int:
        """How many tokens a response to the same request would have in its prompt."""
        request = as_create_request(counted)
        name = request.model or DEFAULT_MODEL
        items = await self.read(owner, request, models.longest_prompt(name), input_optional=True)
        async with models.use(name) as model:
            return len(await self.prompt(owner, request, items, model))


def as_create_request(request: Message) -> CreateResponseRequest:
    """The same request for a response. Every field of `request` is one of CreateResponseRequest, by name and type."""
    create = CreateResponseRequest()
    for field, value in request.ListFields():
        if field.message_type is None and not field.is_repeated:
            setattr(create, field.name, value)
        else:
            getattr(create, field.name).MergeFrom(value)
    return create


def _told(
    request: CreateResponseRequest, conversation: Sequence[Item], *, native_calls: bool
) -> tuple[list[ChatMessage], dict[str, Any]]:
    """What the template gets: the messages, and its further variables."""
    messages = chat_messages(request.instructions, conversation, native_calls=native_calls)
    variables = thinking_variables(request)
    if (functions := told_functions(request)) and native_calls:
        variables["tools"] = signatures(functions)
    elif functions:
        messages = with_preamble(messages, functions)
    return messages, variables


def _validated(request: CreateResponseRequest, input_optional: bool) -> ItemList:
    validate(request, input_optional=input_optional and request.HasField("previous_response_id"))
    return given_items(request)
