"""Weights and nets of other Caffes, of PyTorch and of ONNX."""
