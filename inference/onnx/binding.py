"""An IO binding that remembers what it is bound to, so that a call binds only what changed. Knows no roles."""

from __future__ import annotations

import onnxruntime as ort

from inference.onnx.declared import Tensor

_Place = tuple[str, tuple[int, ...], int]


class Binding:
    """The inputs and outputs of one kind of call, bound by address, and the options it runs with."""

    def __init__(self, session: ort.InferenceSession, options: ort.RunOptions) -> None:
        self._session, self._options = session, options
        self._binding = session.io_binding()
        self._bound: dict[str, _Place] = {}

    def input(self, tensor: Tensor, device: str, shape: tuple[int, ...], address: int) -> None:
        if self._is_new(tensor, (device, shape, address)):
            self._binding.bind_input(tensor.name, device, 0, tensor.dtype.type, shape, address)

    def output(self, tensor: Tensor, device: str, shape: tuple[int, ...], address: int) -> None:
        if self._is_new(tensor, (device, shape, address)):
            self._binding.bind_output(tensor.name, device, 0, tensor.dtype.type, shape, address)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding, self._options)

    def _is_new(self, tensor: Tensor, place: _Place) -> bool:
        if self._bound.get(tensor.name) == place:
            return False
        self._bound[tensor.name] = place
        return True
