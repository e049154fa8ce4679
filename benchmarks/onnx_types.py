"""An ONNX model of float32 as one of 16 bits, for runtimes that take types from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

TYPES = {"bf16": TensorProto.BFLOAT16, "fp16": TensorProto.FLOAT16}


def typed(path: Path | str, precision: str) -> onnx.ModelProto:
    """The model, with all its numbers of the type that the precision names.

    float32 and tf32 leave it as it is. Inputs and outputs change, too.
    """
    model = onnx.load(path)
    kind = TYPES.get(precision)
    if kind is None:
        return model
    graph = model.graph
    for tensor in graph.initializer:
        _convert(tensor, kind)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _convert(attribute.t, kind)
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = kind
    return model


def _convert(tensor: TensorProto, kind: int) -> None:
    if tensor.data_type != TensorProto.FLOAT:
        return
    values = numpy_helper.to_array(tensor)
    if kind == TensorProto.FLOAT16:
        raw = values.astype(np.float16).tobytes()
    else:
        bits = values.view(np.uint32).astype(np.uint64)
        # To the nearest, ties to even.
        raw = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes()
    tensor.ClearField("float_data")
    tensor.data_type, tensor.raw_data = kind, raw
