"""Opens a GGUF file that nobody vouches for: every read is checked against the file's size before it is made.

Builds on the `gguf` package's reader, which trusts its input. Knows the container, not what the keys mean.
"""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType

from inference.types import ModelFileError

# Many times what any published model has.
_MOST_ENTRIES = 1 << 16
_MOST_ELEMENTS = 1 << 22
_MOST_DIMENSIONS = 4
_MOST_NUMBERS = 1 << 48
_LONGEST_STRING = 1 << 24


class _Damaged(ValueError):
    """A count, a length or an offset that cannot be true."""


class BoundedReader(GGUFReader):  # type: ignore[misc]  # the package has no annotations that a strict reading takes
    """The package's reader with bounds, and with arrays of numbers read at once instead of one by one."""

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
        end, texts = self._strings(orig_offs + 12, int(count[0]))
        return end - orig_offs, [kind, count, *texts], list(range(2, 2 + len(texts))), types

    def _strings(self, offset: int, count: int) -> tuple[int, list[Any]]:
        """Where they end, and their bytes as memory views: an array for each would cost seconds for a vocabulary."""
        whole, texts = memoryview(self.data), []
        read_length = struct.Struct(
            "<Q" if (sys.byteorder == "little") == (self.byte_order == "I") else ">Q"
        ).unpack_from
        for _ in range(count):
            (length,) = read_length(whole, offset)
            if length > len(whole) - offset - 8:
                raise _Damaged(f"a string of {length} bytes")
            texts.append(whole[offset + 8 : offset + 8 + length])
            offset += 8 + length
        return offset, texts

    def _build_fields(self, offs: int, count: int) -> int:
        if int(count) > _MOST_ENTRIES:
            raise _Damaged(f"{count} keys")
        return int(super()._build_fields(offs, count))

    def _build_tensor_info(self, offs: int, count: int) -> tuple[int, list[Any]]:
        if int(count) > _MOST_ENTRIES:
            raise _Damaged(f"{count} tensors")
        end, fields = super()._build_tensor_info(offs, count)
        for field in fields:
            dimensions = field.parts[3].tolist()
            if not 1 <= len(dimensions) <= _MOST_DIMENSIONS or not 0 < math.prod(dimensions) < _MOST_NUMBERS:
                raise _Damaged(f"a tensor of {dimensions} numbers")
            if int(field.parts[5][0]) > len(self.data):
                raise _Damaged(f"a tensor at {field.parts[5][0]}")
        return end, fields


def open_gguf(path: Path) -> BoundedReader:
    """Open a file (0.5 s for a vocabulary of 256,000). Raises ModelFileError if it is no sound GGUF file."""
    try:
        return BoundedReader(path)
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
