"""The CUDA runtime's two functions on host memory, so that the code around them runs without a device."""

import ctypes


class FakeCuda:
    """`cudaMemcpy2D` and `cudaDeviceSynchronize`; `pending` counts the copies since the last wait."""

    def __init__(self) -> None:
        self.pending = 0

    def copy(
        self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int, kind: int
    ) -> None:
        assert kind in (1, 2, 3)
        assert width > 0, "a copy of nothing is not called for"
        assert width <= min(target_pitch, source_pitch), "cudaErrorInvalidPitchValue"
        self.pending += 1
        for row in range(rows):
            ctypes.memmove(target + row * target_pitch, source + row * source_pitch, width)

    def synchronize(self) -> None:
        self.pending = 0
