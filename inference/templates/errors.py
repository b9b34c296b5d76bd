"""What goes wrong with a chat template."""

from inference.types import InferenceError


class TemplateError(InferenceError):
    """The chat template is broken, refuses the messages, or does not come to an end; the message is one sentence."""


def stopped(why: str) -> TemplateError:
    """A rendering that exceeds a bound; `why` completes the sentence."""
    return TemplateError(f"The chat template was stopped: {why}.")


def too_large() -> TemplateError:
    """What a template makes is bounded in relation to what it is given."""
    return stopped("it makes a text, list or number that is too large")
