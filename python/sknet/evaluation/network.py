"""From a definition of any form to a net that scores crops."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import caffe
from caffe.net_weights import WeightsReport
from caffe.proto import caffe_pb2
from sknet.complexity import Complexity, analyse, used_in
from sknet.data.class_map import named
from sknet.evaluation.protocol import DEFAULT, Preprocessing
from sknet.models import create_model, deploy
from sknet.models.definitions import validation_transform
from sknet.models.transform_comment import from_comment
from sknet.shapes import Shape

# Layers that bring images in; what they give is replaced by the crops.
_SOURCES = {"Input", "Data", "ImageData", "MemoryData", "HDF5Data", "WindowData"}


@dataclass(frozen=True)
class Definition:
    """A classifier from its input to its scores.

    Attributes:
        net: Its layers behind the input; no data, loss and accuracy.
        name: Of the net.
        image: Blob of the input.
        scores: Blob of the scores or probabilities.
        side: Height and width of the input in pixels that it was made for.
        preprocessing: What the definition says of it, or ImageNet's.
        resize: Side to which it resizes an image's shorter side before it takes a crop
            of that size, 0 if it does not; None if nothing is said.
        resize_from: What says so, in words.
    """

    net: Any
    name: str
    image: str
    scores: str
    side: int
    preprocessing: Preprocessing
    resize: int | None = None
    resize_from: str = DEFAULT


def read_definition(model: str) -> Definition:
    """Reads a prototxt (deploy, train_val or released form), or generates a model.

    Args:
        model: A file, or a name from `sknet list`.

    Raises:
        ValueError: No such model, or the file defines no classifier.
        OSError: The file cannot be read.
    """
    path = Path(model)
    if path.is_file():
        net = read_prototxt(path)
        net.name = net.name or path.stem
        return _classifier(net, *stated_transform(net, path))
    if path.suffix or len(path.parts) > 1:  # no model is called so
        raise OSError(f"'{model}': no such file")
    generated = create_model(model)
    return _classifier(
        deploy(generated), validation_transform(generated), f"the recipe of {model}"
    )


def read_prototxt(path: Path) -> Any:
    """A NetParameter without weights, of old formats, too."""
    with caffe.quiet():
        net = caffe.read_net(path)
    for layer in net.layer:
        layer.ClearField("blobs")
    return net


def stated_transform(net: Any, path: Path) -> tuple[Any, str]:
    """What a file says of an image's way into its net in phase TEST.

    Args:
        net: The definition in it.
        path: The file.

    Returns:
        The TransformationParameter of its data layer, or of the comment at its head,
        None without; and which of these, in words.
    """
    for layer in net.layer:
        if layer.type in _SOURCES - {"Input"} and used_in(layer, caffe.TEST):
            # Without the field images are taken as they are.
            return layer.transform_param, f"data layer '{layer.name}'"
    comment = from_comment(path)
    if comment is None:
        return None, DEFAULT
    return comment, f"the comment at the head of '{path}'"


def _classifier(net: Any, transform: Any, origin: str) -> Definition:
    layers = [layer for layer in net.layer if used_in(layer, caffe.TEST)]
    sources = [layer for layer in layers if layer.type in _SOURCES]
    if not sources:
        raise ValueError(
            f"net '{net.name}': no input, expected an Input or a data layer"
        )
    image = sources[0].top[0]
    shapes = [tuple(shape.dim) for shape in sources[0].input_param.shape]
    kept: list[Any] = []
    known = {image}
    # What depends on labels (loss, accuracy) is left out with them.
    for layer in layers:
        if layer.type in _SOURCES or not known.issuperset(layer.bottom):
            continue
        kept.append(layer)
        known.update(layer.top)
    read = {name for layer in kept for name in layer.bottom}
    outputs = [t for layer in kept for t in layer.top if t not in read]
    in_place = [layer.top[0] for layer in kept[-1:] if layer.top]
    if not outputs and not in_place:
        raise ValueError(f"net '{net.name}': no layer computes scores from '{image}'")
    side = _side(net.name, shapes[0] if shapes else (), transform)
    return Definition(
        caffe_pb2.NetParameter(name=net.name, layer=kept),
        net.name,
        image,
        (outputs or in_place)[-1],
        side,
        Preprocessing() if transform is None else Preprocessing.of(transform, origin),
        None if transform is None else transform.resize_short,
        origin,
    )


def _side(name: str, shape: Shape, transform: Any) -> int:
    if len(shape) == 4 and shape[2] == shape[3] and shape[1] == 3:
        return shape[2]
    if transform is not None and transform.crop_size:
        return int(transform.crop_size)
    raise ValueError(
        f"net '{name}': input shape {shape or 'unknown'}, expected (N, 3, side, "
        "side), or a data layer with a crop_size; evaluate its deploy form"
    )


def misfits(report: WeightsReport) -> list[str]:
    """What does not fit of weights and a net, in a sentence for each direction."""
    return [
        f"{len(names)} {what}: {named(names, 10)}"
        for names, what in (
            (report.without_weights, "layers of the net have no weights in the file"),
            (report.without_layer, "layers of the file are not in the net"),
        )
        if names
    ]


@dataclass
class Network:
    """A net ready to classify.

    Attributes:
        net: The engine's.
        definition: What it was made from.
        side: Height and width of its input.
        classes: Number of classes.
        weights: How they fit; empty without a file.
        weights_file: Where they come from.
        notices: What was changed, in sentences.
        scores: Blob of the scores, the values that a softmax makes probabilities of.
    """

    net: caffe.Net
    definition: Definition
    side: int
    classes: int
    weights: WeightsReport
    weights_file: Path | None
    notices: list[str]
    scores: str

    @property
    def learned_params(self) -> int | None:
        """Parameters without the statistics of batch norms; None if not countable."""
        try:
            return _counted(self.definition).total.learned
        except ValueError:  # a layer from a plugin, perhaps
            return None

    @property
    def batch(self) -> int:
        """Crops in a forward pass."""
        return int(self.net.blobs[self.definition.image].shape[0])

    def weights_digest(self) -> str:
        """Equal for equal values in all layers."""
        digest = hashlib.sha256()
        for blob in itertools.chain.from_iterable(self.net.params.values()):
            digest.update(np.ascontiguousarray(blob.data).data)
        return digest.hexdigest()

    def forward(self, crops: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Logarithms of the classes' probabilities.

        Unlike float32 probabilities they still tell the unlikely classes apart.

        Args:
            crops: (N, 3, side, side), N up to the batch.

        Returns:
            (N, classes).
        """
        blob = self.net.blobs[self.definition.image]
        blob.data[: len(crops)] = crops
        self.net.forward()
        scores = self.net.blobs[self.scores].data[: len(crops)]
        values = scores.reshape(len(crops), self.classes).astype(np.float64)
        with np.errstate(invalid="ignore"):  # what is no number is found by who counts
            return values - np.logaddexp.reduce(values, axis=1, keepdims=True)


def load_network(
    definition: Definition,
    weights: Path | None,
    side: int,
    batch: int,
    *,
    strict: bool = False,
    optimize: bool = False,
    precision: str = "float32",
) -> Network:
    """Builds the net for crops of a size, and fills it.

    Average poolings whose window is the whole map at the size the net was made for
    become global if the crops have another.

    Args:
        definition: From `read_definition`.
        weights: A caffemodel or HDF5 file; None leaves the fillers' values.
        side: Height and width of the crops.
        batch: Crops in a forward pass.
        strict: Whether every layer has to get weights, and all weights a layer.
        optimize: Fuse layers; then only the scores can be read.
        precision: "float32", or "bf16", "fp16" and "tf32" for products of rounded
            operands; the last two on a GPU.

    Raises:
        ValueError: The weights do not belong to the net, or it is no classifier.
        OSError: The file cannot be read.
    """
    notices = []
    net = caffe_pb2.NetParameter()
    net.CopyFrom(definition.net)
    if side != definition.side:
        maps = _maps(definition)
        for layer in net.layer:
            if _covers_map(layer, maps):
                param = layer.pooling_param
                notices.append(
                    f"layer '{layer.name}' averages {param.kernel_size}x"
                    f"{param.kernel_size}, the whole map at {definition.side}x"
                    f"{definition.side}; for {side}x{side} it was made global"
                )
                for name in ("kernel_size", "stride", "pad"):
                    param.ClearField(name)
                param.global_pooling = True
    scores = definition.scores
    last = net.layer[-1] if net.layer else None
    if last is not None and last.type == "Softmax" and last.top[0] == scores:
        scores = last.bottom[0]
        del net.layer[-1]
    built = _built(net, definition.image, side, batch, optimize=optimize)
    built.precision = precision
    shape = tuple(built.blobs[scores].shape)
    if shape[0] != batch or int(np.prod(shape[2:])) != 1 or len(shape) < 2:
        raise ValueError(
            f"net '{definition.name}': output '{definition.scores}' has shape {shape}, "
            f"expected ({batch}, classes); name a classifier"
        )
    report = WeightsReport([], [], [], {})
    if weights is not None:
        report = _fill(built, definition, weights, strict)
    return Network(built, definition, side, shape[1], report, weights, notices, scores)


def _counted(definition: Definition, *, engine: bool = False) -> Complexity:
    image = (1, 3, definition.side, definition.side)
    return analyse(definition.net, {definition.image: image}, engine=engine)


def _maps(definition: Definition) -> dict[str, Shape]:
    """Shapes of the blobs at the size the net was made for, by rules if they do."""
    try:
        counts = _counted(definition)
    except ValueError:  # a layer from a plugin, perhaps, which the engine knows
        counts = _counted(definition, engine=True)
    return {
        definition.image: (1, 3, definition.side, definition.side),
        **{
            top: shape
            for entry in counts.layers
            for top, shape in zip(entry.layer.top, entry.shapes, strict=True)
        },
    }


def _built(
    net: Any, image: str, side: int, batch: int, *, optimize: bool = False
) -> caffe.Net:
    whole = caffe_pb2.NetParameter(name=net.name)
    layer = whole.layer.add(name="evaluation/input", type="Input", top=[image])
    layer.input_param.shape.add(dim=[batch, 3, side, side])
    whole.layer.extend(net.layer)
    with caffe.quiet():
        return caffe.Net(whole, caffe.TEST, optimize=optimize)


def _covers_map(layer: Any, maps: Mapping[str, Shape]) -> bool:
    param = layer.pooling_param
    return (
        layer.type == "Pooling"
        and param.pool == caffe_pb2.PoolingParameter.AVE
        and not param.global_pooling
        and param.kernel_size > 0
        and not param.pad
        and maps[layer.bottom[0]][2:] == (param.kernel_size, param.kernel_size)
    )


def _fill(
    net: caffe.Net, definition: Definition, weights: Path, strict: bool
) -> WeightsReport:
    with caffe.quiet():
        try:
            report = net.copy_from(weights)
        except ValueError as error:
            raise ValueError(
                f"weights '{weights}' do not belong to net '{definition.name}': {error}"
            ) from None
    layers = len(report.matched) + len(report.without_weights)
    if 2 * len(report.matched) < layers:
        raise ValueError(
            f"weights '{weights}' do not belong to net '{definition.name}': they fill "
            f"{len(report.matched)} of its {layers} layers; the file has for example "
            f"{named(report.without_layer) or 'nothing'}, the net "
            f"{named(report.without_weights)}"
        )
    if strict and (sentences := misfits(report)):
        raise ValueError(
            f"weights '{weights}' and net '{definition.name}' differ: "
            + "; ".join(sentences)
            + " (without --strict that is a warning)"
        )
    try:
        net.check_weights()
    except ValueError as error:
        raise ValueError(f"weights '{weights}': {error}") from None
    return report
