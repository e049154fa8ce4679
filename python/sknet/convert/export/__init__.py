"""Nets as ONNX: `export_onnx` writes a model, `compare` holds it to the engine."""

from sknet.convert.export.check import BlobDifference, Comparison, compare
from sknet.convert.export.convert import build_graph, export_onnx
from sknet.convert.export.definition import inference_form

__all__ = [
    "BlobDifference",
    "Comparison",
    "build_graph",
    "compare",
    "export_onnx",
    "inference_form",
]
