"""Pictures of nets, drawn by Graphviz.

    caffe.draw.draw_net_to_file(net.to_proto(), "net.png", rankdir="TB")

`dot_source` needs nothing installed; the other functions run the `dot` program.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from caffe.files import write_atomically
from caffe.net_spec import CONVOLUTIONS
from caffe.proto import caffe_pb2

# Graphviz' attributes of the nodes, as Caffe names them. A layer that works in place is
# drawn as a neuron.
LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_LAYER_COLORS = {
    **dict.fromkeys(CONVOLUTIONS, "#FF5050"),
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}


def get_pooling_types_dict() -> dict[int, str]:
    """The names of the methods of pooling, by number."""
    values = caffe_pb2.PoolingParameter.PoolMethod.DESCRIPTOR.values_by_number
    return {number: value.name for number, value in values.items()}


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer's box."""
    return _LAYER_COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def get_layer_lr_mult(layer: caffe_pb2.LayerParameter) -> list[float]:
    """The learning rate multipliers of a layer's parameters, where it says any."""
    return [spec.lr_mult for spec in layer.param]


def get_layer_label(
    layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool = False
) -> str:
    """The text in a layer's box: name, type and geometry.

    Parts are put beside each other when the net runs downwards ("TB", "BT").
    """
    parts = [layer.name, f"({layer.type})"]
    if layer.type in (*CONVOLUTIONS, "Deconvolution"):
        conv = layer.convolution_param
        parts += _geometry(conv)
        parts += [
            f"{name}: {getattr(conv, name)}"
            for name in ("group",)
            if getattr(conv, name) != 1
        ]
        if list(conv.dilation) not in ([], [1]):
            parts.append(f"dilation: {_join(conv.dilation)}")
    elif layer.type == "Pooling":
        pool = layer.pooling_param
        parts.append(get_pooling_types_dict()[pool.pool])
        parts += ["global"] if pool.global_pooling else _geometry(pool)
    if display_lrm and (rates := get_layer_lr_mult(layer)):
        parts.append(f"lr_mult: {_join(rates)}")
    return (" " if rankdir in ("TB", "BT") else "\\n").join(parts)


def _geometry(param: Any) -> list[str]:
    found = []
    for name, default in (("kernel_size", None), ("stride", 1), ("pad", 0)):
        short = name.removesuffix("_size")
        pair = [getattr(param, f"{short}_{axis}") for axis in "hw"]
        value = getattr(param, name)
        values = list(value) if hasattr(value, "__len__") else [value]
        if any(pair):
            values = pair
        if values and any(item != default for item in values):
            found.append(f"{name}: {_join(values)}")
    return found


def _join(values: Iterable[float]) -> str:
    return "x".join(f"{value:g}" for value in values)


def get_edge_label(layer: caffe_pb2.LayerParameter) -> str:
    """The number of channels a layer makes, where its parameters tell.

    Of a Data layer it is the size of its batches.
    """
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in (*CONVOLUTIONS, "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return ""


def _quote(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _attributes(label: str, style: Mapping[str, str]) -> str:
    return ",".join(
        f"{name}={_quote(value)}" for name, value in {"label": label, **style}.items()
    )


def _in_phase(layer: caffe_pb2.LayerParameter, phase: int | None) -> bool:
    """Whether the include and exclude rules let a layer into the phase."""

    def met(rules: Any) -> bool:
        return any(not rule.HasField("phase") or rule.phase == phase for rule in rules)

    if phase is None:
        return True
    return met(layer.include) if layer.include else not met(layer.exclude)


def dot_source(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str = "LR",
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> str:
    """The net in Graphviz's language.

    Args:
        caffe_net: The net.
        rankdir: Direction: "LR", "RL", "TB" or "BT".
        label_edges: Write the number of channels at the edges.
        phase: Only the layers of `caffe.TRAIN` or `caffe.TEST`.
        display_lrm: Write the learning rate multipliers into the boxes.
    """
    if rankdir not in ("LR", "RL", "TB", "BT"):
        raise ValueError(f"draw: rankdir is '{rankdir}', expected LR, RL, TB or BT")
    lines = [f"digraph {_quote(caffe_net.name or 'Net')} {{", f"  rankdir={rankdir};"]
    blobs: dict[str, None] = {}
    edges = []
    for index, layer in enumerate(caffe_net.layer):
        if not _in_phase(layer, phase):
            continue
        node = f"layer{index}"
        label = get_layer_label(layer, rankdir, display_lrm)
        if list(layer.top) == list(layer.bottom):
            style = NEURON_LAYER_STYLE
        else:
            color = choose_color_by_layertype(layer.type)
            style = {**LAYER_STYLE_DEFAULT, "fillcolor": color}
        # In a record these would part its fields.
        label = re.sub(r"([{}|<>])", r"\\\1", label)
        lines.append(f"  {node} [{_attributes(label, style)}];")
        for blob in layer.bottom:
            edges.append(f"  {_quote('blob ' + blob)} -> {node};")
        for blob in layer.top:
            text = f" [label={_quote(get_edge_label(layer))}]" if label_edges else ""
            edges.append(f"  {node} -> {_quote('blob ' + blob)}{text};")
        blobs.update(dict.fromkeys([*layer.bottom, *layer.top]))
    for blob in blobs:
        lines.append(f"  {_quote('blob ' + blob)} [{_attributes(blob, BLOB_STYLE)}];")
    return "\n".join([*lines, *edges, "}", ""])


def get_pydot_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """The net as a graph of the package `pydot`, which must be installed."""
    import pydot  # type: ignore[import-not-found, unused-ignore]

    source = dot_source(caffe_net, rankdir, label_edges, phase, display_lrm)
    return pydot.graph_from_dot_data(source)[0]


def draw_net(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The picture in a format that Graphviz writes: png, svg, pdf, ...

    Raises:
        RuntimeError: Graphviz is missing or does not know the format.
    """
    source = dot_source(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    try:
        run = subprocess.run(
            ["dot", f"-T{ext}"], input=source.encode(), capture_output=True, check=False
        )
    except OSError as error:
        raise RuntimeError(
            f"draw: cannot run Graphviz's dot ({error.strerror}); install it with "
            "`apt-get install graphviz`"
        ) from None
    if run.returncode:
        raise RuntimeError(f"draw: dot -T{ext}: {run.stderr.decode().strip()}")
    return run.stdout


def draw_net_to_file(
    caffe_net: caffe_pb2.NetParameter,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Writes the picture to a file whose ending names the format."""
    path = Path(filename)
    picture = draw_net(caffe_net, rankdir, path.suffix[1:], phase, display_lrm)
    write_atomically(path, picture)
