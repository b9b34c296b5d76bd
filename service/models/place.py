"""The place of one model among those that may be served: asleep, loading or loaded, and who uses it. Loads nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from answerd.v1.model_pb2 import Model
from inference.types import MIN_ROOM
from service.models.served import OWNED_BY, ServedModel
from service.models.spec import ModelSpec


@dataclass
class Place:
    """Belongs to the event loop. served: while it is in memory. memory: bytes that it takes then. users: requests
    between their wish for it and their admission. used: grows with each use. failed_at: of the last attempt to load
    it, on a steady clock."""

    spec: ModelSpec
    created: int
    served: ServedModel | None = None
    memory: int = 0
    users: int = 0
    used: int = 0
    loading: asyncio.Task[ServedModel] | None = None
    failed_at: float | None = None

    def __post_init__(self) -> None:
        self.name = self.spec.name or ""
        self.context = self.spec.context

    @property
    def idle(self) -> bool:
        """Whether it is loaded and nobody would miss it now."""
        return self.served is not None and self.users == 0 and self.served.engine.live == 0

    @property
    def longest_prompt(self) -> int:
        """In tokens; of a model that was never loaded, at most so many."""
        return self.context - MIN_ROOM

    def take(self, served: ServedModel, memory: int) -> None:
        """It is in memory from now on."""
        self.served, self.memory, self.failed_at = served, memory, None
        self.name, self.created, self.context = served.name, served.created, served.context_length

    def card(self) -> Model:
        """The model as clients see it."""
        return Model(
            id=self.name,
            created=self.created,
            owned_by=OWNED_BY,
            context_length=self.context,
            loaded=self.served is not None,
        )
