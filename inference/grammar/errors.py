"""What the compiler refuses."""

from inference.types import InferenceError


class GrammarError(InferenceError):
    """A grammar that cannot be compiled, or that no answer of bounded cost can keep to; its text says why."""
