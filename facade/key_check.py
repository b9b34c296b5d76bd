"""Asks the service whether a key is good before it is worked for. It keeps no keys, only digests of good ones."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from facade.client import Metadata

# The service checks each call anyway: what is remembered here decides only who may make the facade read a body.
REMEMBERED_SECONDS = 10.0
REMEMBERED_KEYS = 1024


class KeyCheck:
    """`ask`: a cheap call of the service, which raises ApiError if it refuses. `clock`: seconds, never going back."""

    def __init__(
        self, ask: Callable[[Metadata], Awaitable[object]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._good_until: OrderedDict[bytes, float] = OrderedDict()

    async def admit(self, metadata: Metadata) -> None:
        """Returns if the service takes the key in `metadata`, or has done so lately; else raises its refusal."""
        digest = hashlib.sha256(dict(metadata).get("authorization", "").encode()).digest()
        if self._good_until.get(digest, 0.0) > self._clock():
            return
        # A call of its own and not the request's: it stands for those of the next seconds as well.
        await self._ask([(name, value) for name, value in metadata if name == "authorization"])
        self._good_until[digest] = self._clock() + REMEMBERED_SECONDS
        self._good_until.move_to_end(digest)
        if len(self._good_until) > REMEMBERED_KEYS:
            self._good_until.popitem(last=False)
