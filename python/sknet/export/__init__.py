"""Nets as ONNX: `export_onnx` writes a model, `compare` holds it to the engine."""

from sknet.export.check import BlobDifference, Comparison, compare
from sknet.export.convert import build_graph, export_onnx
from sknet.export.definition import inference_form

__all__ = [
    "BlobDifference",
    "Comparison",
    "build_graph",
    "compare",
    "export_onnx",
    "inference_form",
]
