"""What a constrained answer asks of the sampler: which tokens may come next. It knows no grammar."""

from typing import Protocol

from inference.runner import Logits


class Constraint(Protocol):
    """The state of one answer's constraint; for one thread at a time.

    Each position is one `mask`, any number of times, then one `accept` of a token that it left. So a draft is checked
    in its order: the row of a position is masked after the tokens before it were accepted, and rows behind the first
    token that was drawn otherwise are dropped unmasked.
    """

    @property
    def finished(self) -> bool:
        """Whether nothing may follow: the answer ends without an end token."""
        ...

    def mask(self, logits: Logits) -> None:
        """Set the logits, shape [vocab_size], of tokens that may not come next to -inf, in place. They are the model's
        own: bias and penalties follow.

        Where the answer may end here, its end tokens are among those that may come.
        """
        ...

    def accept(self, token: int) -> None:
        """The token, an end token included, was drawn; it is one that the mask left."""
        ...
