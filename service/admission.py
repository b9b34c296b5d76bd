"""The way of a request into the engine: checked, put together with its history, encoded, submitted.

Whatever refuses it does so before anything is stored or streamed. It knows no gRPC.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import ItemList
from answerd.v1.response_pb2 import Response
from inference.sampling.parameters import SamplingParams
from inference.stream import Generation
from inference.types import GenerationRequest
from service.background import Background
from service.choice import Choice
from service.constraints import constraints_of
from service.echo import initial_response, is_stored
from service.generation import RunningResponse
from service.idempotency import IdempotencyKey
from service.ids import new_response_id
from service.input_items import id_of
from service.models.catalogue import Models
from service.models.served import ServedModel
from service.output.parser import OutputParser
from service.prompts import Prompts
from service.recorder import Pause, Recorder
from service.running import RunningResponses
from service.sampling import choices_of, of_each_choice, sampling_params
from service.store import AnsweredKey, Record, Store
from service.thinking import begins_thought, ends_thought
from service.tools.calling import calling_of
from service.validate.request import DEFAULT_MODEL, check_biases, check_choices


class Admission:
    """Makes running responses of requests.

    now: seconds since 1970. steady: seconds on a clock that never goes back. pause: waits for so many seconds.
    """

    def __init__(
        self,
        store: Store,
        running: RunningResponses,
        background: Background,
        default_max_output_tokens: int,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._store, self._running, self._background = store, running, background
        self.prompts = Prompts(store, default_max_output_tokens)
        self._default_max_output_tokens = default_max_output_tokens
        self._now, self._steady, self._pause = now, steady, pause

    async def admit(
        self, owner: str, request: CreateResponseRequest, models: Models, key: IdempotencyKey | None = None
    ) -> RunningResponse:
        """A response that the engine has accepted; its `events` must be iterated before anything is waited for. From
        then on it has the key.

        Its model is loaded if it is not. Raises ServiceError, and what `service_error_of` knows: StoreError,
        TemplateError and InferenceError.
        """
        name = request.model or DEFAULT_MODEL
        # From here on a stop waits for it: what was taken is answered.
        with self._running.admission():
            items = await self.prompts.read(owner, request, models.longest_prompt(name))
            async with models.use(name) as model:
                check_biases(request, model.vocab_size)
                check_choices(request, model.engine.limit)
                return await self._submit(owner, request, items, model, key)

    async def _submit(
        self,
        owner: str,
        request: CreateResponseRequest,
        items: ItemList,
        model: ServedModel,
        key: IdempotencyKey | None,
    ) -> RunningResponse:
        # Looked at again when it is submitted; until then much would be done for nothing.
        choices = choices_of(request)
        model.engine.check_room(choices)
        prompt = await self.prompts.prompt(owner, request, items, model)
        in_thought = begins_thought(prompt, model.bytes_of) and ends_thought(request)
        after_output = bool(items.items) and items.items[-1].HasField("function_call_output")
        constraints = await constraints_of(request, model, choices, in_thought=in_thought, after_output=after_output)
        sampling = self._sampling(request, model)
        response = initial_response(request, id=new_response_id(), model=model.name, created_at=int(self._now()))
        each = enumerate(zip(of_each_choice(sampling, choices), constraints, strict=True))
        generations = model.engine.submit_together(
            [
                GenerationRequest(f"{response.id}/{index}", prompt, params, owner, constraint)
                for index, (params, constraint) in each
            ]
        )
        answered = None if key is None else key.answered_by(response)
        running = RunningResponse(
            owner,
            response,
            _choices(request, generations, in_thought=in_thought),
            len(prompt),
            model.bytes_of,
            self._recorder(owner, request, items, response, answered),
            self._background,
            self._now,
            answered,
        )
        self._running.add(running)
        running.begin()
        return running

    def _sampling(self, request: CreateResponseRequest, model: ServedModel) -> SamplingParams:
        return sampling_params(
            request, default_max_tokens=self._default_max_output_tokens, context=model.context_length
        )

    def _recorder(
        self,
        owner: str,
        request: CreateResponseRequest,
        items: ItemList,
        response: Response,
        key: AnsweredKey | None,
    ) -> Recorder | None:
        """None if nothing is to be written: what is not stored is written only for those who repeat a request."""
        hidden = not is_stored(request)
        if hidden and key is None:
            return None
        record = Record(
            id=response.id,
            owner=owner,
            created_at=response.created_at,
            request=items.SerializeToString(),
            parent_id=request.previous_response_id if request.HasField("previous_response_id") else None,
            response=response.SerializeToString(),
            expires_at=key.expires_at if hidden and key is not None else None,
            hidden=hidden,
        )
        item_ids = [id_of(item) for item in items.items]
        return Recorder(self._store, record, item_ids, self._background, self._steady, key, self._pause)


def _choices(request: CreateResponseRequest, generations: Sequence[Generation], *, in_thought: bool) -> list[Choice]:
    calling = calling_of(request)
    names = calling.names if calling is not None else ()
    return [Choice(generation, OutputParser(names, in_thought=in_thought)) for generation in generations]
