"""A formal language for answers, as whoever wants it wrote it down. It knows no tokens."""

from dataclasses import dataclass
from enum import Enum

MAX_LENGTH = 2**18  # characters; the compiler's time and its depth of recursion grow with them


class GrammarKind(Enum):
    """The notation of a grammar."""

    REGEX = "regex"  # of Rust's regex crate, without look-around; the whole answer matches it
    LARK = "lark"  # llguidance's variant of Lark
    JSON_SCHEMA = "json_schema"  # draft 4 to 2020-12, as far as llguidance enforces it
    LLGUIDANCE = "llguidance"  # llguidance's own list of grammars, as JSON text


@dataclass(frozen=True, slots=True)
class Grammar:
    """The text of a grammar in one of the notations.

    lenient: of a schema: what cannot be enforced is let be, so that an answer may break it; otherwise it is refused.
    """

    kind: GrammarKind
    text: str
    lenient: bool = False


ANY_OBJECT = Grammar(GrammarKind.JSON_SCHEMA, '{"type":"object"}')
