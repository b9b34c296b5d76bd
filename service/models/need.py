"""What a model takes of the machine's memory: whether it can run at all, and whether all of its slots can be full."""

from __future__ import annotations

from dataclasses import dataclass

from inference.model import ModelDirectory
from inference.types import ModelFileError
from service.models.memory import cache_size, weights_size
from service.models.spec import ModelSpec

SMALLEST = 2  # bytes of a number of a cache; some have 4


@dataclass(frozen=True)
class Need:
    """In bytes. cache: all slots and the spare one, full. slot: one of them. limit: what this process may have."""

    weights: int
    cache: int
    slot: int
    limit: int

    @classmethod
    def of(cls, directory: ModelDirectory, spec: ModelSpec, limit: int, number_size: int = SMALLEST) -> Need:
        """number_size: bytes of one number of the cache; without it this is the least that the model may need."""
        cache = cache_size(directory.config, spec.slots, spec.context, number_size)
        return cls(weights_size(directory.graph_path), cache, cache // (spec.slots + 1), limit)

    def total(self, weights: int | None = None) -> int:
        """What it counts as: weights (as measured, if they were) and the whole cache, but never more than there is."""
        return min((self.weights if weights is None else weights) + self.cache, self.limit)

    def check(self, spec: ModelSpec) -> None:
        """Raises ModelFileError, one sentence, for a model of which not even one slot could be full."""
        if self.weights + self.slot > self.limit:
            raise ModelFileError(
                spec.fault(
                    f"its weights take {_gigabytes(self.weights)} and one slot of {spec.context} tokens"
                    f" {_gigabytes(self.slot)}, and there are {_gigabytes(self.limit)} of memory: choose a shorter"
                    " context (ANSWERD_CONTEXT) or a smaller model"
                )
            )

    def shortage(self, spec: ModelSpec) -> str | None:
        """A sentence for a cache that does not fit once its slots are full; its pages fill only as they are used."""
        if self.weights + self.cache <= self.limit:
            return None
        return (
            f"The cache of {spec.slots} slots of {spec.context} tokens may grow to {_gigabytes(self.cache)}, and there"
            f" are {_gigabytes(self.limit)} of memory: fewer slots (ANSWERD_SLOTS) or a shorter context"
            " (ANSWERD_CONTEXT) keep it within them."
        )


def no_room(spec: ModelSpec) -> ModelFileError:
    """For a cache that the system refuses to set aside."""
    return ModelFileError(
        spec.fault(
            f"the system has no memory for {spec.slots} slots of {spec.context} tokens: choose fewer slots"
            " (ANSWERD_SLOTS) or a shorter context (ANSWERD_CONTEXT)"
        )
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
