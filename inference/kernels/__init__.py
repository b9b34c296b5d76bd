"""Two operators of our own for ONNX Runtime, in C, and the library that they are compiled into. Knows no model."""
