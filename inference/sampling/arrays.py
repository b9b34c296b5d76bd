"""The kinds of arrays that sampling works on."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]
Ids = NDArray[np.int32]
Flags = NDArray[np.bool_]
