"""Parameters and arithmetic of a network, counted from its definition.

Published GFLOPs follow different rules. `CONVENTIONS` names those that occur in the
tables of the SKNet paper; all are per image, in multiply-adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from caffe.net_spec import CONVOLUTIONS
from caffe.proto import caffe_pb2
from sknet.shapes import (
    Shape,
    canonical,
    conv_geometry,
    conv_outputs,
    engines_shapes,
    infer,
    recurrent_states,
)


@dataclass
class Cost:
    """Counts of one layer, or their sum over a net. Element counts are per batch.

    Attributes:
        learned: Parameters that training changes.
        stored: All values in the layer's blobs: running statistics count here.
        macs: Multiply-adds of convolutions and fully connected layers.
        bias_adds: Additions of convolution biases.
        bn_elements: Outputs of batch norms.
        relu_elements: Outputs of ReLUs.
        select_elements: Products that weigh the branches of SK units (Scale by a
            second bottom, Axpy).
        pool_inputs: Inputs of poolings.
    """

    learned: int = 0
    stored: int = 0
    macs: int = 0
    bias_adds: int = 0
    bn_elements: int = 0
    relu_elements: int = 0
    select_elements: int = 0
    pool_inputs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            **{
                name: getattr(self, name) + getattr(other, name)
                for name in self.__dataclass_fields__
            }
        )


@dataclass
class LayerCost:
    """One layer: its definition, the shapes of its tops, its counts."""

    layer: Any
    shapes: list[Shape]
    cost: Cost


@dataclass
class Complexity:
    """Counts of a whole net; `total` is the sum over `layers`.

    Attributes:
        name: Of the net.
        batch_size: Images that the element counts are for.
        layers: In the order of the definition.
        inputs: Shapes of the inputs that no layer makes (old definitions).
    """

    name: str
    batch_size: int
    layers: list[LayerCost] = field(default_factory=list)
    inputs: dict[str, Shape] = field(default_factory=dict)

    @property
    def total(self) -> Cost:
        """Sum over all layers, for the whole batch."""
        return sum((layer.cost for layer in self.layers), Cost())

    def gflops(self, convention: str = "macs+select") -> float:
        """10^9 operations per image, counted as `CONVENTIONS[convention]` says."""
        return CONVENTIONS[convention](self.total) / self.batch_size / 1e9


CONVENTIONS: dict[str, Callable[[Cost], int]] = {
    # Convolutions and fully connected layers only: DPN's paper.
    "macs": lambda c: c.macs,
    # One more per batch-norm output: SENet's paper.
    "macs+bn": lambda c: c.macs + c.bn_elements,
    # Two: an early ptflops on a net whose ReLUs and poolings are no modules.
    "macs+2bn": lambda c: c.macs + 2 * c.bn_elements,
    # The select step of SK units in addition: SKNet's own rows.
    "macs+select": lambda c: c.macs + c.select_elements,
    # Every module's operations, as the early ptflops tool counted: Inception rows.
    "all": lambda c: (
        c.macs + c.bias_adds + 2 * c.bn_elements + c.relu_elements + c.pool_inputs
    ),
}


# Layers whose top is their bottom under another name: the same data and gradient.
_VIEWS = {"Flatten", "Reshape"}
_BYTES = 4  # of a float32


@dataclass(frozen=True)
class Memory:
    """Bytes that the blobs of a net take in float32.

    Weights, and buffers inside of layers, are not in it. Tops of in-place layers and of
    Reshape, Flatten and Split share the data of their bottoms.

    Attributes:
        training: Data and gradient of every blob, as Caffe keeps them: a blob that
            n > 1 layers read has a gradient for each and their sum. Blobs that no
            parameter comes before, such as images and labels, have none.
        inference: Data of every blob.
        inference_peak: Data of the blobs that are still needed, at the layer where they
            are largest: what is left when memory is used again.
    """

    training: int
    inference: int
    inference_peak: int


def activation_memory(counts: Complexity) -> Memory:
    """Counts the memory of the blobs between the layers in `counts`, for its batch."""
    sizes = [math.prod(shape) for shape in counts.inputs.values()]  # of each storage
    spans = [(0, 0)] * len(sizes)  # first and last layer that uses it
    storage = {name: index for index, name in enumerate(counts.inputs)}
    gradients = 0
    readers: dict[str, int] = {}
    learned: set[str] = set()
    # A blob's name as its last writer left it; only such a version is split.
    extents: dict[str, int] = {}

    def split(name: str) -> None:
        nonlocal gradients
        if name in learned and readers.get(name, 0) > 1:
            gradients += readers[name] * extents[name]
        readers[name] = 0

    for index, entry in enumerate(counts.layers):
        layer = entry.layer
        for name in layer.bottom:
            used = storage[name]
            spans[used] = (spans[used][0], index)
            readers[name] = readers.get(name, 0) + 1
        learns = entry.cost.learned > 0 or any(b in learned for b in layer.bottom)
        for name, shape in zip(layer.top, entry.shapes, strict=True):
            extent = math.prod(shape)
            shares = layer.type in _VIEWS or layer.type == "Split"
            in_place = name in layer.bottom
            if in_place:
                split(name)
            elif shares:
                storage[name] = storage[layer.bottom[0]]
            else:
                storage[name] = len(sizes)
                sizes.append(extent)
                spans.append((index, index))
            extents[name] = extent
            readers[name] = 0
            if learns:
                learned.add(name)
                if not in_place and layer.type not in _VIEWS:
                    gradients += extent
    for name in list(extents):
        split(name)
    read = {name for entry in counts.layers for name in entry.layer.bottom}
    for name in extents.keys() - read:  # results
        spans[storage[name]] = (spans[storage[name]][0], len(counts.layers) - 1)
    changes = [0] * (len(counts.layers) + 1)
    for size, (first, last) in zip(sizes, spans, strict=True):
        changes[first] += size
        changes[last + 1] -= size
    return Memory(
        training=_BYTES * (sum(sizes) + gradients),
        inference=_BYTES * sum(sizes),
        inference_peak=_BYTES * max(accumulate(changes), default=0),
    )


def analyse(
    net: Any,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    phase: str = "TEST",
    *,
    engine: bool = False,
) -> Complexity:
    """Counts the layers that `net` (a NetParameter) has in `phase`.

    Args:
        net: The definition; its weights, if any, are not needed.
        input_shapes: Shapes of blobs that no layer's parameters give, or to replace
            those of Input and data layers.
        phase: "TRAIN" or "TEST".
        engine: Take the shapes from the engine, which knows layers of plugins and in
            Python, too; without it nothing compiled is needed.

    Raises:
        ValueError: Names the layer and blob that do not fit.
    """
    if len(net.layers):
        raise ValueError(
            f"net '{net.name}': has `layers` of Caffe's first format, expected "
            "`layer`; caffe.read_net() reads such a file into that"
        )
    number = caffe_pb2.Phase.Value(phase)
    layers = [layer for layer in net.layer if used_in(layer, number)]
    if not layers:
        raise ValueError(
            f"net '{net.name}': no layers in phase {phase}, expected at least one; is "
            "this the definition of a net?"
        )
    replaced = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}
    blobs = {**_net_inputs(net), **replaced}
    known = dict(blobs)
    for layer in layers:
        if not layer.bottom and not all(name in replaced for name in layer.top):
            tops = zip(layer.top, infer(layer, []), strict=True)
            known.update((name, replaced.get(name, shape)) for name, shape in tops)
    if engine:
        known = engines_shapes(net.name, layers, known, number)
    counted: set[str] = set()
    result = Complexity(net.name, batch_size=1)
    for layer in layers:
        for name in layer.bottom:
            if name not in blobs:
                raise ValueError(
                    f"layer '{layer.name}' ({layer.type}): unknown bottom '{name}'; no "
                    "layer above it has that top"
                )
        bottoms = [blobs[name] for name in layer.bottom]
        if engine or not layer.bottom:
            shapes = [known[name] for name in layer.top]
        else:
            shapes = infer(layer, bottoms)
        blobs.update(zip(layer.top, shapes, strict=True))
        cost = _cost(layer, bottoms, shapes)
        _forget_shared(layer, cost, counted)
        result.layers.append(LayerCost(layer, shapes, cost))
    result.inputs = {name: blobs[name] for name in net.input}
    for name in (*net.input, *(top for layer in net.layer for top in layer.top)):
        if blobs.get(name):
            result.batch_size = blobs[name][0]
            break
    return result


def used_in(layer: Any, phase: int) -> bool:
    """Whether a net of that phase, at level 0 and without stages, has the layer."""

    def met(rule: Any) -> bool:
        return (
            (not rule.HasField("phase") or rule.phase == phase)
            and (not rule.HasField("min_level") or rule.min_level <= 0)
            and (not rule.HasField("max_level") or rule.max_level >= 0)
            and not rule.stage
        )

    if layer.include:
        return any(met(rule) for rule in layer.include)
    return not any(met(rule) for rule in layer.exclude)


def _net_inputs(net: Any) -> dict[str, Shape]:
    """Shapes of the old net-level `input` fields."""
    if net.input_shape:
        shapes = [tuple(shape.dim) for shape in net.input_shape]
    else:
        dims = list(net.input_dim)
        shapes = [tuple(dims[i : i + 4]) for i in range(0, len(dims), 4)]
    if len(shapes) != len(net.input):
        raise ValueError(
            f"net '{net.name}': {len(shapes)} input shapes, expected {len(net.input)}, "
            "one for each input"
        )
    return dict(zip(net.input, shapes, strict=True))


def _forget_shared(layer: Any, cost: Cost, counted: set[str]) -> None:
    """Counts the parameters of layers that share them by name once."""
    names = {spec.name for spec in layer.param if spec.name}
    if names and names <= counted:
        cost.learned = cost.stored = 0
    counted |= names


def _cost(layer: Any, bottoms: Sequence[Shape], shapes: Sequence[Shape]) -> Cost:
    elements = math.prod(shapes[0]) if shapes else 0
    kind = layer.type
    if kind in (*CONVOLUTIONS, "Deconvolution"):
        return _convolution(layer, bottoms, shapes)
    if kind == "InnerProduct":
        param = layer.inner_product_param
        axis = canonical(param.axis, bottoms[0])
        weights = math.prod(bottoms[0][axis:]) * param.num_output
        learned = weights + param.bias_term * param.num_output
        batch = math.prod(bottoms[0][:axis])
        return Cost(learned=learned, stored=learned, macs=batch * weights)
    if kind in ("RNN", "LSTM"):
        return _recurrent(layer, bottoms)
    if kind == "Embed":
        embed = layer.embed_param
        learned = (embed.input_dim + embed.bias_term) * embed.num_output
        return Cost(learned, learned)
    if kind == "Parameter":
        return Cost(elements, elements)
    if kind == "CuDNNBatchNorm":
        channels = bottoms[0][1]
        return Cost(2 * channels, 4 * channels, bn_elements=elements)
    if kind == "BatchNorm":
        # Mean, variance and the factor they are divided by are not learned.
        channels = bottoms[0][1] if len(bottoms[0]) > 1 else 1
        learned = _affine_parts(layer.batch_norm_param) * channels
        return Cost(learned, learned + 2 * channels + 1, bn_elements=elements)
    if kind == "Scale" and len(bottoms) == 2:
        bias = math.prod(bottoms[1]) * layer.scale_param.bias_term
        return Cost(bias, bias, select_elements=elements)
    if kind in ("Scale", "Bias") and len(bottoms) == 1:
        param = layer.scale_param if kind == "Scale" else layer.bias_param
        axis = canonical(param.axis, bottoms[0])
        end = len(bottoms[0]) if param.num_axes == -1 else axis + param.num_axes
        learned = math.prod(bottoms[0][axis:end])
        if kind == "Scale" and param.bias_term:
            learned *= 2
        return Cost(learned, learned)
    if kind == "PReLU":
        learned = 1 if layer.prelu_param.channel_shared else bottoms[0][1]
        return Cost(learned, learned, relu_elements=elements)
    if kind == "ReLU":
        return Cost(relu_elements=elements)
    if kind == "Axpy":
        return Cost(select_elements=elements)
    if kind == "Pooling":
        return Cost(pool_inputs=math.prod(bottoms[0]))
    return Cost()


def _affine_parts(param: Any) -> int:
    """How many of scale and bias a batch norm has; only NVIDIA's and intel's do."""
    if param.use_weight_bias:
        return 1 if param.HasField("bias_term") and not param.bias_term else 2
    fillers = param.HasField("scale_filler") or param.HasField("bias_filler")
    return 2 if param.scale_bias or fillers else 0


def _recurrent(layer: Any, bottoms: Sequence[Shape]) -> Cost:
    """Products with the inputs of all steps, a static input, and the state."""
    outputs = layer.recurrent_param.num_output
    rows = 4 * outputs if layer.type == "LSTM" else outputs
    steps, streams = bottoms[0][:2]
    of_inputs = math.prod(bottoms[0][2:]) * rows
    of_state = outputs * (rows if layer.type == "LSTM" else 2 * rows)
    learned = of_inputs + of_state + (rows if layer.type == "LSTM" else 2 * rows)
    macs = steps * streams * (of_inputs + of_state)
    if len(bottoms) > 2 + recurrent_states(layer):
        of_static = math.prod(bottoms[2][1:]) * rows
        learned += of_static
        macs += streams * of_static
    return Cost(learned, learned, macs=macs)


def _convolution(layer: Any, bottoms: Sequence[Shape], shapes: Sequence[Shape]) -> Cost:
    param = layer.convolution_param
    channel = canonical(param.axis, bottoms[0])
    axes = len(bottoms[0]) - channel - 1
    kernel = math.prod(extents[0] for extents in conv_geometry(param, axes))
    num_output, group = conv_outputs(layer, bottoms[0][channel])
    weights = bottoms[0][channel] * num_output * kernel // group
    learned = weights + param.bias_term * num_output
    cost = Cost(learned=learned, stored=learned)
    for bottom, top in zip(bottoms, shapes, strict=True):
        # A deconvolution spreads every input pixel, a convolution gathers per output.
        pixels = bottom if layer.type == "Deconvolution" else top
        positions = math.prod(pixels[:channel]) * math.prod(pixels[channel + 1 :])
        cost.macs += positions * weights
        cost.bias_adds += param.bias_term * math.prod(top)
    return cost
