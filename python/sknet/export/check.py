"""Holds an exported model against the engine, layer by layer, in ONNX Runtime."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import caffe
from sknet.export.convert import SOURCES
from sknet.export.graph import BlobValue, Graph, Tensor

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BlobDifference:
    """How far the two results of one layer are apart.

    Attributes:
        layer: Name of the layer.
        type: Its type.
        blob: The blob it wrote.
        difference: Largest absolute difference of an element; inf where only one of
            the two is NaN.
        largest: Largest absolute value of the blob in the engine.
    """

    layer: str
    type: str
    blob: str
    difference: float
    largest: float

    @property
    def relative(self) -> float:
        """The difference as a share of the largest value."""
        return self.difference / self.largest if self.largest else self.difference


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        layers: One entry for each blob that a layer wrote, both given the same inputs
            of that layer, so that rounding does not add up from layer to layer.
        outputs: The results of the whole net, one entry each.
    """

    layers: list[BlobDifference]
    outputs: list[BlobDifference]


def compare(net: caffe.Net, graph: Graph, inputs: Mapping[str, Array]) -> Comparison:
    """Runs both on the same inputs.

    Args:
        net: The net that was exported.
        graph: What `export_onnx` returned.
        inputs: Arrays for the inputs of the graph, by name.

    Raises:
        ImportError: The package onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(
            "checking an exported model needs the package onnxruntime; install it with "
            "`pip install sknet-caffe[onnx]`, or leave the check out with --no-check"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    given = {tensor.name: inputs[tensor.name] for tensor in graph.inputs}

    def run(outputs: Sequence[Tensor]) -> dict[str, Array]:
        with tempfile.TemporaryDirectory(prefix="sknet-onnx-") as folder:
            file = Path(folder) / "model.onnx"
            graph.save(file, net.name, outputs)
            session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
            names = [tensor.name for tensor in outputs]
            return dict(zip(names, session.run(names, given), strict=True))

    # As a user runs it, and with every blob given out, which keeps the runtime from
    # merging operators.
    final = run(graph.outputs)
    exposed = run([value.tensor for value in graph.blobs])
    for name, array in given.items():
        net.blobs[name].data[...] = array
    net._forward(0, len(net.layers) - 1)
    by_name = {value.tensor.name: value for value in graph.blobs}
    outputs = [
        _difference(by_name[name], result, net.blobs[by_name[name].blob].data)
        for name, result in final.items()
    ]
    return Comparison(_layer_by_layer(net, graph, given, exposed), outputs)


def _layer_by_layer(
    net: caffe.Net,
    graph: Graph,
    inputs: Mapping[str, Array],
    results: Mapping[str, Array],
) -> list[BlobDifference]:
    """Lets every layer of the engine compute on the runtime's values."""
    values: dict[str, list[BlobValue]] = {}
    for value in graph.blobs:
        values.setdefault(value.layer, []).append(value)
    for name, array in inputs.items():
        net.blobs[name].data[...] = array
    report = []
    for index, (layer, engine) in enumerate(
        zip(net.top_names, net.layers, strict=True)
    ):
        if engine.type in SOURCES:
            continue
        net._forward(index, index)
        for value in values.get(layer, ()):
            blob = net.blobs[value.blob].data
            result = results[value.tensor.name]
            report.append(_difference(value, result, blob))
            if result.shape == blob.shape:
                blob[...] = result
    return report


def _difference(value: BlobValue, got: Array, want: Array) -> BlobDifference:
    return BlobDifference(
        value.layer,
        value.type,
        value.blob,
        _largest_difference(got, want),
        float(np.abs(want).max(initial=0.0)),
    )


def _largest_difference(got: Array, want: Array) -> float:
    if got.shape != want.shape:
        return math.inf
    # Infinities and NaN must be met exactly; their differences would be NaN.
    exact = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        difference = np.where(exact, 0.0, np.abs(got.astype(np.float64) - want))
    worst = float(difference.max(initial=0.0))
    return math.inf if math.isnan(worst) else worst
