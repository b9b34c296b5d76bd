"""A JSON object from a file, whose accessors say what is wrong with it and where. Knows no schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inference.quoted import printable
from inference.types import ModelFileError

_T = TypeVar("_T", bool, int, str, dict[str, Any])


@dataclass(frozen=True)
class JsonObject:
    """An object and its place, for messages. Every accessor raises ModelFileError, which names file and key."""

    path: Path
    name: str
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> JsonObject:
        try:
            values = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise ModelFileError(f"{path} is missing.") from error
        except OSError as error:
            raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"{path} is not JSON: {error}.") from error
        if not isinstance(values, dict):
            raise ModelFileError(f"{path} does not hold a JSON object.")
        return cls(path, "", values)

    def wrong(self, key: str, problem: str) -> ModelFileError:
        where = printable(f"{self.name}.{key}" if self.name else key)
        return ModelFileError(f"{self.path}: {where} {problem}.")

    def need(self, key: str, kind: type[_T]) -> _T:
        if key not in self.values:
            raise self.wrong(key, "is missing")
        value = self.values[key]
        if type(value) is not kind:  # true counts as a whole number for isinstance
            raise self.wrong(key, f"is not {_KINDS[kind]}")
        return value

    def get(self, key: str, kind: type[_T], default: _T) -> _T:
        return self.need(key, kind) if key in self.values else default

    def object(self, key: str) -> JsonObject:
        return JsonObject(self.path, f"{self.name}.{key}" if self.name else key, self.need(key, dict))

    def count(self, key: str) -> int:
        value = self.need(key, int)
        if value < 1:
            raise self.wrong(key, "is not a positive number")
        return value

    def texts(self) -> dict[str, str]:
        return {key: self.need(key, str) for key in self.values}

    def token_ids(self, key: str, vocab_size: int) -> list[int]:
        """One id or a list of them; at least one."""
        value = self.values.get(key)
        ids = value if isinstance(value, list) else [self.need(key, int)]
        if not ids or not all(type(item) is int and 0 <= item < vocab_size for item in ids):
            raise self.wrong(key, "is not a token id of the vocabulary or a list of them")
        return list(ids)

    def token_id(self, key: str, vocab_size: int) -> int | None:
        if self.values.get(key) is None:
            return None
        value = self.need(key, int)
        if not 0 <= value < vocab_size:
            raise self.wrong(key, "is not a token id of the vocabulary")
        return value


_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", str: "a string", dict: "an object"}
