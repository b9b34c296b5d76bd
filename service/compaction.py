"""Makes a conversation shorter: the model sums it up, and what has to be there word for word stays.

It knows no gRPC and stores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from answerd.v1.compaction_pb2 import CompactedResponse, CompactResponseRequest
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import Item, Role
from answerd.v1.response_pb2 import Response
from answerd.v1.truncation_pb2 import Truncation
from answerd.v1.usage_pb2 import Usage
from inference.types import ContextLengthExceeded
from service.admission import Admission
from service.errors import Reason, ServiceError, unavailable
from service.ids import new_compacted_id
from service.input_items import user_message
from service.models.catalogue import Models
from service.models.served import ServedModel
from service.prompts import as_create_request
from service.splitting import pieces_of
from service.truncation import SYSTEM_ROLES
from service.validate.request import check_compaction

ASK = (
    "Sum up our conversation so far, so that it can go on from your summary alone: what I asked for and told you, what"
    " you answered, names, numbers and other facts that may matter, and what is still open. Write nothing else."
)
MAX_SUMMARY = 512
# Of the context, for a summary; two of them are in the prompt and the answer of a later piece.
SUMMARY_SHARE = 16
# Of the context, for the message that is kept.
KEPT_SHARE = 4
# What the words around a summary take, in tokens.
AROUND_SUMMARY = 64


@dataclass(frozen=True)
class Written:
    """A text that a model wrote, and what it took. at: when, in seconds since 1970."""

    text: str
    usage: Usage
    at: int


class Compactor:
    """Compacts conversations. Its generations are responses like others, which nobody can get."""

    def __init__(self, admission: Admission) -> None:
        self._admission, self._prompts = admission, admission.prompts

    async def compact(self, owner: str, request: CompactResponseRequest, models: Models) -> CompactedResponse:
        """Raises ServiceError, and what `service_error_of` knows."""
        check_compaction(request)
        asked = as_create_request(request)
        # For this conversation is no matter how many items it has.
        asked.truncation = Truncation.TRUNCATION_AUTO
        own = await self._prompts.read(owner, asked, models.longest_prompt(asked.model), input_optional=True)
        conversation = await self._prompts.conversation(owner, asked, own)
        async with models.use(asked.model) as model:
            pieces = await self._pieces(owner, asked, conversation, model)
            budget, kept = _budget(model), await self._kept_message(owner, conversation, model)
        written: list[Written] = []
        for piece in pieces:
            before = [await self._prompts.compactions.item(owner, text.text) for text in written[-1:]]
            written.append(await self._write(owner, _asking(asked, [*before, *piece], budget), models))
        compaction = await self._prompts.compactions.item(owner, written[-1].text)
        return CompactedResponse(
            id=new_compacted_id(),
            created_at=written[-1].at,
            output=[*_system_messages(conversation), *kept, compaction, *_open_calls(conversation)],
            usage=_total([one.usage for one in written]),
        )

    async def _pieces(
        self, owner: str, asked: CreateResponseRequest, conversation: Sequence[Item], model: ServedModel
    ) -> Sequence[Sequence[Item]]:
        budget = _budget(model)

        async def tokens(items: Sequence[Item]) -> int:
            shown = _asking(asked, items, budget)
            return len(await self._prompts.encode(owner, shown, shown.input.items.items, model))

        room = model.context_length - budget
        with suppress(ContextLengthExceeded):
            if await tokens(conversation) <= room:
                return [conversation]
        return await pieces_of(conversation, tokens, room - budget - AROUND_SUMMARY)

    async def _kept_message(self, owner: str, conversation: Sequence[Item], model: ServedModel) -> list[Item]:
        """The last message of the user, word for word, unless it is so long that little would be gained."""
        last = [item for item in conversation if item.message.role == Role.ROLE_USER][-1:]
        if not last:
            return []
        with suppress(ContextLengthExceeded):
            prompt = await self._prompts.encode(owner, CreateResponseRequest(), last, model)
            if len(prompt) <= model.context_length // KEPT_SHARE:
                return last
        return []

    async def _write(self, owner: str, request: CreateResponseRequest, models: Models) -> Written:
        running = await self._admission.admit(owner, request, models)
        # Closed here and not by the garbage collector: a caller that left frees its slot at once.
        async with aclosing(running.events()) as events:
            told = [event async for event in events]
        response = _final(told)
        parts = [part for item in response.output for part in item.message.content]
        text = "".join(part.output_text.text for part in parts).strip()
        if not text:
            raise ServiceError(Reason.MODEL_ERROR, "The model wrote no summary.")
        return Written(text, response.usage, response.created_at)


def _final(events: Sequence[ResponseEvent]) -> Response:
    last = events[-1]
    if last.HasField("failed"):
        fault = next((event.error for event in events if event.HasField("error")), None)
        if fault is not None and fault.code == Reason.UNAVAILABLE.value.lower():
            raise unavailable()
        raise ServiceError(Reason.MODEL_ERROR, last.failed.response.error.message)
    return last.completed.response if last.HasField("completed") else last.incomplete.response


def _budget(model: ServedModel) -> int:
    return min(MAX_SUMMARY, model.context_length // SUMMARY_SHARE)


def _asking(asked: CreateResponseRequest, items: Sequence[Item], budget: int) -> CreateResponseRequest:
    """The request for a summary of the items."""
    shown = ItemList(items=items)
    if shown.items and shown.items[-1].message.role == Role.ROLE_USER:
        # Some templates take no two messages of the user in a row.
        shown.items[-1].message.content.add().input_text.text = f"\n\n{ASK}"
    else:
        shown.items.append(user_message(ASK))
    request = CreateResponseRequest(
        model=asked.model, input=Input(items=shown), store=False, temperature=0, max_output_tokens=budget
    )
    request.enable_thinking = False
    if asked.HasField("instructions"):
        request.instructions = asked.instructions
    return request


def _system_messages(conversation: Sequence[Item]) -> list[Item]:
    return [item for item in conversation if item.message.role in SYSTEM_ROLES]


def _open_calls(conversation: Sequence[Item]) -> list[Item]:
    """The calls at the end whose outputs are still to come, and need them; older ones were given up."""
    answered = {item.function_call_output.call_id for item in conversation}
    asked = max((place for place, item in enumerate(conversation) if item.message.role == Role.ROLE_USER), default=0)
    calls = [item for item in conversation[asked:] if item.HasField("function_call")]
    return [item for item in calls if item.function_call.call_id not in answered]


def _total(usages: Sequence[Usage]) -> Usage:
    total = Usage()
    for usage in usages:
        total.input_tokens += usage.input_tokens
        total.input_tokens_details.cached_tokens += usage.input_tokens_details.cached_tokens
        total.output_tokens += usage.output_tokens
        total.output_tokens_details.reasoning_tokens += usage.output_tokens_details.reasoning_tokens
        total.total_tokens += usage.total_tokens
    return total
