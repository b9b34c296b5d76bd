"""The runner on ONNX Runtime: provider, memory, session. The only package that imports onnxruntime."""
