"""What a constraint lets come next, as a set."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.constraint import Constraint


def allowed_tokens(
    constraint: Constraint, size: int, logits: Sequence[float] | NDArray[np.floating] | None = None
) -> set[int]:
    """Of a vocabulary of this size, with these logits; all 0 without any. Fails if single tokens are allowed that the
    whole set does not have, unless that is one token, which may begin a text that is certain."""
    row = np.zeros(size, np.float32) if logits is None else np.asarray(logits, np.float32)
    one_by_one = {token for token in range(size) if constraint.allows(token)}
    bitmask = constraint.bitmask(row)
    if bitmask is None:
        return set(range(size))
    together = set(np.flatnonzero(np.unpackbits(bitmask, count=size, bitorder="little")).tolist())
    assert one_by_one <= together or len(together) == 1
    return together
