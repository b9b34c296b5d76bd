"""What a constrained answer asks of the sampler: which tokens may come next. It knows no grammar."""

from collections.abc import Sequence
from typing import Protocol

from inference.bitmask import Bitmask
from inference.runner import Logits


class Constraint(Protocol):
    """The state of one answer's constraint; for one thread at a time.

    Each position is `allows` and `bitmask`, any number of times, then one `accept` of a token that may come. So a draft
    is checked in its order: what may come at a position is asked after the tokens before it were accepted.
    """

    @property
    def finished(self) -> bool:
        """Whether nothing may follow: the answer ends without an end token."""
        ...

    def allows(self, token: int) -> bool:
        """Whether the token may come next. Takes microseconds; False also where only `bitmask` can tell.

        Where no other text may follow, a bitmask may have one token that begins it, and this allow others that do.
        """
        ...

    def bitmask(self, logits: Logits) -> Bitmask | None:
        """The tokens that may come next; None: all. logits, shape [vocab_size]: the model's own, perhaps no numbers.

        Where the answer may end here, its end tokens are among those that may come.
        """
        ...

    def forced(self) -> Sequence[int]:
        """Tokens of a text that has to follow, if one has to; a model may split it otherwise."""
        ...

    def accept(self, token: int) -> None:
        """The token, an end token included, was drawn; it is one that may come."""
        ...
