"""What a GGUF file declares about its model, typed and within bounds. Knows neither families nor tensors."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from gguf import GGUFValueType

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.reader import BoundedReader
from inference.types import ModelFileError

_T = TypeVar("_T", str, int, float, bool)
_TRUTHS = (GGUFValueType.BOOL, GGUFValueType.UINT32, GGUFValueType.INT32)


class Metadata:
    """Typed access to the key-value part of an open file."""

    def __init__(self, reader: BoundedReader) -> None:
        self._reader = reader

    def get(self, key: str, kind: type[_T]) -> _T | None:
        """The value of a scalar or string key, None if it is not there. Raises ModelFileError for another type."""
        field = self._reader.get_field(key)
        if field is None:
            return None
        try:
            value: Any = field.contents()
        except ValueError as error:
            raise ModelFileError(f"The GGUF file's key {key} is not text.") from error
        if isinstance(value, list):
            raise UnsupportedModelError(f"The GGUF file has a value for each layer in {key}, which is not supported.")
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ModelFileError(f"The GGUF file's key {key} has a value of the wrong type: {str(value)[:80]!r}.")
        found: _T = value
        return found

    def need(self, key: str, kind: type[_T]) -> _T:
        """The value of a key that the graph cannot be made without."""
        value = self.get(key, kind)
        if value is None:
            raise ModelFileError(f"The GGUF file has no key {key}.")
        return value

    def count(self, key: str, *, most: int, default: int | None = None, least: int = 1) -> int:
        """A whole number from `least` to `most`; a key without a default is needed."""
        value = self.get(key, int)
        if value is None:
            value = self.need(key, int) if default is None else default
        if not least <= value <= most:
            raise ModelFileError(f"The GGUF file's key {key} is {value}, out of the range from {least} to {most}.")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number that is not negative; a key without a default is needed."""
        value = self.get(key, float)
        if value is None:
            value = self.need(key, float) if default is None else default
        if not math.isfinite(value) or value < 0:
            raise ModelFileError(f"The GGUF file's key {key} is {value}, which is no size.")
        return value

    def length(self, key: str) -> int:
        """Elements of an array, 0 for what is none."""
        field = self._reader.get_field(key)
        if field is None or field.types[0] is not GGUFValueType.ARRAY:
            return 0
        *_, count, _ = field.parts
        return int(count[0])

    def flags(self, key: str, count: int) -> list[bool] | None:
        """The `count` truth values of an array, written as booleans or whole numbers; None for what is no array."""
        field = self._reader.get_field(key)
        if field is None or field.types[0] is not GGUFValueType.ARRAY:
            return None
        values = field.contents() if field.types[-1] in _TRUTHS else []
        if len(values) != count:
            raise ModelFileError(f"The GGUF file's key {key} has not {count} truth values, one for each layer.")
        return [bool(value) for value in values]

    @property
    def architecture(self) -> str:
        """The family's name, as the file spells it."""
        return self.need("general.architecture", str)

    def token(self, key: str, vocabulary: int) -> int | None:
        """The id under `tokenizer.ggml.<key>_token_id`, if there is one and the vocabulary has it."""
        value = self.get(f"tokenizer.ggml.{key}_token_id", int)
        return value if value is not None and 0 <= value < vocabulary else None
