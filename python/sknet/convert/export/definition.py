"""The part of a definition that computes results, and what its user gives to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import caffe
from caffe.proto import caffe_pb2
from sknet.complexity import used_in
from sknet.shapes import Shape

# They judge results and are no part of inference.
_JUDGES = (
    "Accuracy",
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
)


def inference_layers(layers: Iterable[Any]) -> list[Any]:
    """Without losses and accuracies, and what is made of them."""
    known: set[str] = set()
    kept = []
    for layer in layers:
        if layer.type not in _JUDGES and known.issuperset(layer.bottom):
            kept.append(layer)
            known.update(layer.top)
    return kept


def gives_data(layer: Any) -> bool:
    """Whether its tops are given by the user: what a Parameter gives was learned."""
    return not layer.bottom and layer.type != "Parameter"


def inference_form(net: Any, shapes: Mapping[str, Shape]) -> Any:
    """The definition of inference: layers without bottoms become inputs.

    Nothing that they would read has to be there.

    Args:
        net: A NetParameter in today's format.
        shapes: Of inputs, by blob; the others have the shape that the definition tells,
            and one sample where it is a data layer's.

    Raises:
        ValueError: A name in `shapes` is no input, or an input has no shape.
    """
    layers = inference_layers(
        layer for layer in net.layer if used_in(layer, caffe.TEST)
    )
    read = {name for layer in layers for name in layer.bottom}
    form = caffe_pb2.NetParameter(name=net.name)
    inputs: list[str] = []
    for layer in layers:
        if not gives_data(layer):
            form.layer.add().CopyFrom(layer)
            continue
        # A top that nobody reads, such as the labels, is no input.
        wanted = {top: i for i, top in enumerate(layer.top) if top in read}
        source = form.layer.add(name=layer.name, type="Input", top=list(wanted))
        for top, index in wanted.items():
            shape = shapes.get(top) or _shape(layer, index, shapes)
            source.input_param.shape.add(dim=shape)
        inputs += wanted
        if not wanted:
            del form.layer[-1]
    for name in shapes:
        if name not in inputs:
            raise ValueError(
                f"--input {name}: the net has no input '{name}' (inputs: "
                f"{', '.join(inputs)})"
            )
    return form


def _shape(layer: Any, index: int, shapes: Mapping[str, Shape]) -> Shape:
    """What a layer without bottoms gives as its top `index`."""
    told: Shape = ()
    if layer.type == "Input":
        told = _chosen(layer.input_param.shape, index)
    elif layer.type == "DummyData":
        param = layer.dummy_data_param
        told = _chosen(param.shape, index) or tuple(
            values[min(index, len(values) - 1)]
            for values in (param.num, param.channels, param.height, param.width)
            if values
        )
    elif index:
        # Labels: one for each image.
        told = shapes.get(layer.top[0], (1,))[:1]
    elif layer.type == "MemoryData":
        param = layer.memory_data_param
        told = 1, param.channels, param.height, param.width
    else:
        told = _image_shape(layer)
    if not told:
        raise ValueError(
            f"layer '{layer.name}' ({layer.type}): the definition does not tell the "
            f"size of '{layer.top[index]}'; give it, such as --input "
            f"{layer.top[index]}=1x3x224x224"
        )
    return told


def _chosen(shapes: Any, index: int) -> Shape:
    """One shape serves all tops, or each has its own."""
    return tuple(shapes[min(index, len(shapes) - 1)].dim) if shapes else ()


def _image_shape(layer: Any) -> Shape:
    transform, images = layer.transform_param, layer.image_data_param
    side = transform.crop_size or layer.window_data_param.crop_size
    sides = (side, side) if side else (images.new_height, images.new_width)
    grey = transform.force_gray or not images.is_color
    return (1, 1 if grey else 3, *sides) if all(sides) else ()
