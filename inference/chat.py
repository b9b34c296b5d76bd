"""Messages to prompt text, by the model's own chat template.

Knows which characters of a prompt the template wrote and which came from a message.
Does not know token ids, models, or what the roles mean.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import jinja2

from inference.templates.environment import TemplateEnvironment
from inference.templates.errors import TemplateError, stopped
from inference.templates.meter import MAX_SECONDS

__all__ = ["ChatTemplate", "Segment", "TemplateError"]

Message = Mapping[str, Any]


class Segment(NamedTuple):
    """A part of a prompt; only in control segments are special tokens more than their characters."""

    text: str
    is_control: bool


class ChatTemplate:
    """One model's chat template; safe to share between threads."""

    def __init__(
        self,
        source: str,
        *,
        bos_token: str = "",
        eos_token: str = "",
        special_tokens: Iterable[str] = (),
        clock: Callable[[], datetime] = datetime.now,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        """Compile the template. Raises TemplateError if it is not valid Jinja.

        special_tokens: every text that the tokenizer would take for a control token.
        clock: the time that `strftime_now` formats. max_seconds: of processor time, for one rendering.
        """
        self._environment = TemplateEnvironment(clock, max_seconds)
        try:
            self._template = self._environment.compiled(source)
        except TemplateError:
            raise
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"The chat template is broken in line {error.lineno}: {_sentence(error)}") from error
        except Exception as error:  # of Jinja, or of Python's compiler on what Jinja wrote
            raise TemplateError(f"The chat template cannot be compiled ({type(error).__name__}).") from error
        self.source = source
        self.variables = self._environment.variables_of(source)  # that it asks for, functions among them
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        self._guard = _Guard([token for token in special_tokens if token])

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **extra: Any,
    ) -> list[Segment]:
        """The prompt for a conversation, with special tokens in `messages`, `tools` and `extra` kept plain.

        messages: {"role", "content"} and whatever else the template knows. extra: further variables of the template.
        Raises TemplateError with the template's own sentence if it refuses the messages.
        """
        values = {"documents": None, **extra, "messages": list(messages), "tools": tools and list(tools)}
        values, originals = self._guard.disguise(values)
        text = self._render({**self._tokens, **values, "add_generation_prompt": add_generation_prompt})
        return self._guard.segments(text, originals)

    def _render(self, variables: dict[str, Any]) -> str:
        # A template is a program from a model file, so any exception may leave it.
        root, given = self._template.root_render_func, sum(map(len, _texts(variables)))
        try:
            with self._environment.metered(given):
                return self._environment.concat(root(self._template.new_context(variables)))
        except TemplateError:
            raise
        except jinja2.TemplateError as error:
            raise TemplateError(f"The chat template cannot render these messages: {_sentence(error)}") from error
        except RecursionError as error:
            raise stopped("it goes too deep into itself") from error
        except Exception as error:
            raise TemplateError(f"The chat template cannot render these messages ({type(error).__name__}).") from error


class _Guard:
    """Keeps special tokens that stand in a message from becoming control tokens.

    Before rendering each is replaced by one private-use character that occurs nowhere in the messages. To a template
    that is one more letter: trimming, slicing or joining cannot turn it into a token or take it apart. The beginning
    of a token at the end of a text is replaced too, since a template may put the rest right behind it.
    """

    def __init__(self, special_tokens: Sequence[str]) -> None:
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        # A token that begins like a word is left out here: a stand-in in a role or a key would change its meaning.
        marked = [token for token in special_tokens if not token[0].isalnum()]
        beginnings = {token[:end] for token in marked for end in range(1, len(token))}
        self._beginnings = tuple(sorted(beginnings, key=len, reverse=True))

    def disguise(self, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """The values with stand-ins for special tokens, and what each stand-in stands for."""
        found = {part for text in _texts(values) for part in self._dangerous(text)}
        if not found:
            return values, {}
        taken = {char for text in _texts(values) for char in text if char >= _FIRST_STAND_IN}
        free = (char for char in map(chr, range(ord(_FIRST_STAND_IN), 0x10FFFE)) if char not in taken)
        stand_ins = dict(zip(sorted(found), free, strict=False))
        if len(stand_ins) < len(found):
            raise TemplateError("The messages use every private-use character there is.")
        replaced = _map_texts(values, lambda text: self._replace(text, stand_ins))
        return replaced, {stand_in: part for part, stand_in in stand_ins.items()}

    def segments(self, text: str, originals: Mapping[str, str]) -> list[Segment]:
        """Split a rendered prompt: what lies between two control tokens and holds a stand-in is plain as a whole,
        so that it becomes the same tokens as it would by itself; everything else is control."""
        restore = str.maketrans(dict(originals))
        segments: list[Segment] = []
        for piece in self._pieces(text) if originals else [text]:
            plain = piece.translate(restore)
            if plain != piece:
                segments.append(Segment(plain, is_control=False))
            elif segments and segments[-1].is_control:
                segments[-1] = Segment(segments[-1].text + piece, is_control=True)
            elif piece:
                segments.append(Segment(piece, is_control=True))
        return segments

    def _pieces(self, text: str) -> Iterator[str]:
        """The text cut before and after each special token."""
        end = 0
        for match in self._special.finditer(text):
            yield text[end : match.start()]
            yield match.group()
            end = match.end()
        yield text[end:]

    def _dangerous(self, text: str) -> Iterator[str]:
        yield from self._special.findall(text)
        yield from self._beginning_at_end(text)

    def _beginning_at_end(self, text: str) -> Iterator[str]:
        end = text.rstrip()
        if end.endswith(self._beginnings):
            yield next(beginning for beginning in self._beginnings if end.endswith(beginning))

    def _replace(self, text: str, stand_ins: Mapping[str, str]) -> str:
        for beginning in self._beginning_at_end(text):
            end = text.rstrip()
            text = end.removesuffix(beginning) + stand_ins[beginning] + text[len(end) :]
        return self._special.sub(lambda match: stand_ins[match.group()], text)


_FIRST_STAND_IN = "\U000f0000"


def _sentence(error: jinja2.TemplateError) -> str:
    return f"{str(error.message).rstrip('.')}."


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_map_texts(key, change): _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_texts(item, change) for item in value]
    return value
