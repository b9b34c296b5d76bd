"""Idempotency keys: which response a repeated request gets, so that none is ever generated twice.

It knows the form of a key, the running responses and the store; not what an answer looks like.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.response_pb2 import Response
from service.errors import idempotency_key_reused, invalid_value
from service.generation import RunningResponse
from service.running import RunningResponses
from service.store import SECONDS_A_DAY, AnsweredKey, Store

METADATA = "idempotency-key"
KEPT_SECONDS = SECONDS_A_DAY
FORM = re.compile(r"[ -~]{1,256}")
# Hashing more would hold up others for a millisecond.
LARGE_REQUEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key, and what it was sent with."""

    owner: str
    text: str
    request_hash: bytes

    def answered_by(self, response: Response) -> AnsweredKey:
        """The key as it is kept from the admission of its response on."""
        return AnsweredKey(self.text, self.request_hash, response.id, response.created_at + KEPT_SECONDS)


async def key_of(
    owner: str, request: CreateResponseRequest, metadata: Iterable[tuple[str, str | bytes]]
) -> IdempotencyKey | None:
    """The key of a call, or None. Raises InvalidRequest for a key of another form than FORM, and for several."""
    given = [value for name, value in metadata if name == METADATA]
    if not given:
        return None
    text = given[0] if len(given) == 1 else ""
    if not isinstance(text, str) or not FORM.fullmatch(text):
        raise invalid_value(METADATA, f"'{METADATA}' must be one text of 1 to 256 printable ASCII characters.")
    large = request.ByteSize() > LARGE_REQUEST
    request_hash = await asyncio.to_thread(_hash, request) if large else _hash(request)
    return IdempotencyKey(owner, text, request_hash)


def _hash(request: CreateResponseRequest) -> bytes:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


class IdempotencyKeys:
    """Finds the response that has a key already. A key is taken when its response is admitted."""

    def __init__(self, store: Store, running: RunningResponses) -> None:
        self._store, self._running = store, running
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, key: IdempotencyKey) -> AsyncIterator[None]:
        """Within it nobody else looks for this key, or takes it."""
        place = (key.owner, key.text)
        lock = self._turns.get(place)
        if lock is None:
            lock = self._turns[place] = asyncio.Lock()
        async with lock:
            yield

    async def find(self, key: IdempotencyKey) -> RunningResponse | str | None:
        """The response that the key has, by its id if it does not run any more; None if the key is free.

        Raises IDEMPOTENCY_KEY_REUSED if the key was sent with another request.
        """
        running = self._running.find_key(key.owner, key.text)
        if running is not None:
            assert running.key is not None
            _check_same(running.key.request_hash, key)
            return running
        answered = await self._store.find_key(key.owner, key.text)
        if answered is None:
            return None
        _check_same(answered.request_hash, key)
        return answered.response_id


def _check_same(request_hash: bytes, key: IdempotencyKey) -> None:
    if request_hash != key.request_hash:
        raise idempotency_key_reused()
