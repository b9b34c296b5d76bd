"""Opens a GGUF file that nobody vouches for: every read is checked against the file's size before it is made.

Builds on the `gguf` package's reader, which trusts its input. Knows the container, not what the keys mean.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, ReaderField

from inference.gguf.block_types import SUPPORTED_TYPES
from inference.gguf.errors import UnsupportedModelError
from inference.quoted import quoted
from inference.types import ModelFileError

# Some times what any published model has; a key or a tensor of a few bytes takes kilobytes of objects.
_MOST_KEYS = 1 << 12
_MOST_TENSORS = 1 << 14
_MOST_ELEMENTS = 1 << 21
_MOST_DIMENSIONS = 4
_MOST_NUMBERS = 1 << 48
_LONGEST_STRING = 1 << 24
# Types that older files have and the format has given up, by number.
_WITHDRAWN = {
    4: "Q4_2",
    5: "Q4_3",
    31: "Q4_0_4_4",
    32: "Q4_0_4_8",
    33: "Q4_0_8_8",
    36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}


class _Damaged(ValueError):
    """A count, a length or an offset that cannot be true."""


class _Texts(ReaderField):  # type: ignore[misc]  # as the reader below
    """An array of strings as its bytes: most of such a file is tokens, and objects for each take ten times as much."""

    def contents(self, index_or_slice: int | slice = slice(None)) -> Any:
        """The strings, made anew by every call. Raises ValueError for bytes that are no UTF-8."""
        *_, count, whole = self.parts
        view = memoryview(whole)
        return [str(view[start:end], "utf-8") for start, end in _strings(view, int(count[0]), count)][index_or_slice]


def _strings(whole: memoryview, count: int, like: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Where each of the strings at the beginning of `whole` starts and ends; lengths have the byte order of `like`."""
    read_length = struct.Struct(f"{like.dtype.str[0]}Q").unpack_from
    end = 0
    for _ in range(count):
        (length,) = read_length(whole, end)
        start, end = end + 8, end + 8 + length
        if end > len(whole):
            raise _Damaged(f"a string of {length} bytes")
        yield start, end


class BoundedReader(GGUFReader):  # type: ignore[misc]  # the package has no annotations that a strict reading takes
    """The package's reader with bounds, and with arrays taken at once instead of element by element."""

    def _get(self, offset: int, dtype: npt.DTypeLike, count: int = 1, override_order: Any = None) -> npt.NDArray[Any]:
        size = int(count) * np.dtype(dtype).itemsize
        if not 0 <= int(offset) <= len(self.data) - size:
            raise _Damaged(f"{size} bytes at {offset} lie beyond the end")
        values: npt.NDArray[Any] = super()._get(int(offset), dtype, count, override_order)
        return values

    def _get_str(self, offset: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
        length = self._get(offset, np.uint64)
        if int(length[0]) > _LONGEST_STRING:
            raise _Damaged(f"a string of {length[0]} bytes")
        return length, self._get(offset + 8, np.uint8, int(length[0]))

    def _get_field_parts(
        self, orig_offs: int, raw_type: int
    ) -> tuple[int, list[npt.NDArray[Any]], list[int], list[GGUFValueType]]:
        if GGUFValueType(raw_type) is not GGUFValueType.ARRAY:
            parts: tuple[int, list[npt.NDArray[Any]], list[int], list[GGUFValueType]]
            parts = super()._get_field_parts(orig_offs, raw_type)
            return parts
        kind, count = self._get(orig_offs, np.uint32), self._get(orig_offs + 4, np.uint64)
        if int(count[0]) > _MOST_ELEMENTS:
            raise _Damaged(f"an array of {count[0]} elements")
        types: list[GGUFValueType] = [GGUFValueType.ARRAY, GGUFValueType(int(kind[0]))]
        if types[1] is GGUFValueType.ARRAY:
            raise _Damaged("an array of arrays")
        if types[1] is not GGUFValueType.STRING:
            values = self._get(orig_offs + 12, self.gguf_scalar_to_np[types[1]], int(count[0]))
            return 12 + values.nbytes, [kind, count, values], [2], types
        ends = (end for _, end in _strings(memoryview(self.data)[orig_offs + 12 :], int(count[0]), count))
        size = max(ends, default=0)
        return 12 + size, [kind, count, self._get(orig_offs + 12, np.uint8, size)], [2], types

    def _push_field(self, field: ReaderField, skip_sum: bool = False) -> int:
        if field.types == [GGUFValueType.ARRAY, GGUFValueType.STRING]:
            field = _Texts(*field)
        return int(super()._push_field(field, skip_sum))

    def _build_fields(self, offs: int, count: int) -> int:
        if int(count) > _MOST_KEYS:
            raise _Damaged(f"{count} keys")
        return int(super()._build_fields(offs, count))

    def _build_tensor_info(self, offs: int, count: int) -> tuple[int, list[Any]]:
        if int(count) > _MOST_TENSORS:
            raise _Damaged(f"{count} tensors")
        end, fields = super()._build_tensor_info(offs, count)
        for field in fields:
            dimensions = field.parts[3].tolist()
            if not 1 <= len(dimensions) <= _MOST_DIMENSIONS:
                raise _Damaged(f"a tensor of {len(dimensions)} dimensions")
            if not 0 < math.prod(dimensions) < _MOST_NUMBERS:
                raise _Damaged(f"a tensor of {dimensions} numbers")
            if int(field.parts[5][0]) > len(self.data):
                raise _Damaged(f"a tensor at {field.parts[5][0]}")
            if (kind := int(field.parts[4][0])) not in iter(GGMLQuantizationType):
                raise unsupported_type(field.name, _WITHDRAWN.get(kind, str(kind)))
        return end, fields

    def _build_tensors(self, start_offs: int, fields: list[ReaderField]) -> None:
        super()._build_tensors(start_offs, fields)
        # Else a model could be any number of times larger than its file.
        for one, other in pairwise(sorted(self.tensors, key=lambda tensor: tensor.data_offset)):
            if one.data_offset + one.n_bytes > other.data_offset:
                raise _Damaged(f"its tensors {quoted(one.name)} and {quoted(other.name)} overlap")


def open_gguf(path: Path) -> BoundedReader:
    """Open a file (0.5 s for a vocabulary of 256,000).

    Raises ModelFileError if it is no sound GGUF file, UnsupportedModelError if it has a type that the format's own
    package does not know.
    """
    try:
        return BoundedReader(path)
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except _Damaged as error:
        raise ModelFileError(f"{path} is not a sound GGUF file: it is cut off or damaged ({error}).") from error
    except Exception as error:  # the reader trusts its input: a damaged file raises whatever numpy or struct raise
        raise ModelFileError(f"{path} is not a sound GGUF file: it is cut off, damaged or of another kind.") from error


def type_name(tensor: Any) -> str:
    """What the format calls the type of a tensor."""
    name: str = GGMLQuantizationType(tensor.tensor_type).name
    return name


def unsupported_type(tensor: str, kind: str) -> UnsupportedModelError:
    """The refusal of a tensor for its type."""
    return UnsupportedModelError(
        f"The tensor {quoted(tensor)} has the type {kind}, which is not supported; "
        f"supported are: {', '.join(SUPPORTED_TYPES)}."
    )
