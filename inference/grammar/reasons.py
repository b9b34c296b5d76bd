"""What llguidance says of a matcher that gave up, as one line."""

from llguidance import LLMatcher

_LONGEST = 300  # characters
_DEAD_END = "No answer can keep to it."
_IN_WORDS = {
    "NoExtension": _DEAD_END,
    "NoExtensionBias": _DEAD_END,
    # It goes on to name an option that nobody can set here.
    "oneOf constraints are not supported": "'oneOf' cannot be enforced unless its schemas exclude each other.",
}


def reason_of(matcher: LLMatcher) -> str:
    """Without the state of its parser, which follows the reason in angle brackets."""
    line = " ".join(matcher.get_error().split("\n<", 1)[0].split())
    line = _IN_WORDS.get(line.split(". ", 1)[0], line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
