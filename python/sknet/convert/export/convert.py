"""From a net of the engine to an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import caffe
from caffe.extras import missing
from sknet.convert.export.definition import gives_data, inference_layers
from sknet.convert.export.graph import (
    DEFAULT_OPSET,
    EXTERNAL_DATA_BYTES,
    OLDEST_OPSET,
    BlobValue,
    Graph,
    Tensor,
)
from sknet.convert.export.operators import RULES, Layer


def export_onnx(
    net: caffe.Net,
    path: Path,
    *,
    opset: int = DEFAULT_OPSET,
    fold: bool = False,
    external_data_bytes: int = EXTERNAL_DATA_BYTES,
    notes: Mapping[str, str] | None = None,
) -> tuple[Graph, list[Path]]:
    """Writes a net as an ONNX model.

    Args:
        net: A net in phase TEST with its weights, shaped as the model shall be.
        path: The file to write; there it is complete or not at all.
        opset: Version of ONNX's operators, 13 or later.
        fold: Put batch norms and Scale layers into the convolutions before them.
        external_data_bytes: Weights larger than this go into `<path>.data`.
        notes: What else to know, by names; the model's metadata.

    Returns:
        What was written, for `compare`, and the files.

    Raises:
        NotImplementedError: Names a layer that ONNX cannot express.
        ValueError: No such operator set, or nothing to export.
        ImportError: The package onnx is missing.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError(missing("onnx", "writing ONNX", "onnx")) from None
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ValueError(
            f"operator set {opset} is not known, expected {OLDEST_OPSET} to {newest}"
        )
    graph = build_graph(net, opset)
    graph = graph.folded() if fold else graph.expanded()
    graph.notes = dict(notes or {})
    return graph, graph.save(path, net.name, external_data_bytes=external_data_bytes)


def build_graph(net: caffe.Net, opset: int = DEFAULT_OPSET) -> Graph:
    """The graph of a net, from its layers without bottoms to its results.

    A value has the name of its blob. Blobs that in-place layers overwrite have several:
    the last has the plain name, the others are called `<blob>@<layer>`.
    """
    layers = inference_layers(_definition(net).layer)
    writers: dict[str, str] = {}
    for layer in layers:
        writers.update(dict.fromkeys(layer.top, layer.name))
    graph = Graph(opset, reserved=frozenset(net.blobs))
    current: dict[str, Tensor] = {}
    read: set[str] = set()
    inputs: set[str] = set()
    for layer in layers:
        shapes = [tuple(net.blobs[name].shape) for name in layer.top]
        if gives_data(layer):
            inputs.update(layer.top)
            tops = [Tensor(*top) for top in zip(layer.top, shapes, strict=True)]
            graph.inputs += tops
            current.update(zip(layer.top, tops, strict=True))
            continue
        if layer.type not in RULES:
            raise NotImplementedError(
                f"layer '{layer.name}' has type {layer.type}, which cannot be exported "
                "to ONNX; remove it from the prototxt or replace it"
            )
        graph.layers.add(layer.name)
        bottoms = [current[name] for name in layer.bottom]
        if layer.type == "Split" and layer.name.endswith("_split"):
            # The engine's own; it gives one blob to several layers.
            current.update(dict.fromkeys(layer.top, bottoms[0]))
            continue
        read.update(tensor.name for tensor in bottoms)
        tops = []
        for name, shape in zip(layer.top, shapes, strict=True):
            plain = writers[name] == layer.name and name not in inputs
            tops.append(Tensor(name if plain else f"{name}@{layer.name}", shape))
        blobs = [blob.data for blob in net.params.get(layer.name, ())]
        RULES[layer.type](graph, Layer(layer, blobs, bottoms, tops))
        graph.blobs += [
            BlobValue(layer.name, layer.type, name, top)
            for name, top in zip(layer.top, tops, strict=True)
        ]
        current.update(zip(layer.top, tops, strict=True))
    values = [blob.tensor for blob in graph.blobs]
    graph.outputs = [tensor for tensor in values if tensor.name not in read]
    if not graph.outputs:
        raise ValueError(
            f"net '{net.name}' computes nothing but losses and accuracies; give a "
            "definition with a result to export"
        )
    return graph


def _definition(net: caffe.Net) -> Any:
    """The net's layers, as the engine upgraded them, without their weights.

    A message holds 2 GiB, and weights can be larger: while it is made they are empty.
    A blob that shrinks keeps its memory, so its values are back with its shape.
    """
    blobs = [blob for learned in net.params.values() for blob in learned]
    shapes = [blob.shape for blob in blobs]
    try:
        for blob in blobs:
            blob.reshape(0)
        return net.to_proto()
    finally:
        for blob, shape in zip(blobs, shapes, strict=True):
            blob.reshape(*shape)
