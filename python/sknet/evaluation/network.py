"""From a definition of any form to a net that scores crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import caffe
from caffe.proto import caffe_pb2
from sknet.complexity import analyse, used_in
from sknet.data.class_map import named
from sknet.evaluation.protocol import DEFAULT, Preprocessing
from sknet.evaluation.reading import quiet
from sknet.models import create_model, deploy
from sknet.models.definitions import validation_transform
from sknet.models.transform_comment import from_comment

# Layers that bring images in; what they give is replaced by the crops.
_SOURCES = {"Input", "Data", "ImageData", "MemoryData", "HDF5Data", "WindowData"}
_INPUT = "data"
_SUFFIX = ".caffemodel"


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
    with quiet():
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
    image = ""
    shape: Sequence[int] = ()
    if net.input:
        image = net.input[0]
        shape = net.input_shape[0].dim if net.input_shape else net.input_dim[:4]
    elif sources:
        image = sources[0].top[0]
        if sources[0].type == "Input":
            shape = next(iter(sources[0].input_param.shape), caffe_pb2.BlobShape()).dim
    if not image:
        raise ValueError(
            f"net '{net.name}': no input, expected an Input or a data layer"
        )
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
    side = _side(net.name, list(shape), transform)
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


def _side(name: str, shape: list[int], transform: Any) -> int:
    if len(shape) == 4 and shape[2] == shape[3] and shape[1] == 3:
        return int(shape[2])
    if transform is not None and transform.crop_size:
        return int(transform.crop_size)
    raise ValueError(
        f"net '{name}': input shape {tuple(shape) or 'unknown'}, expected (N, 3, side, "
        "side), or a data layer with a crop_size; evaluate its deploy form"
    )


@dataclass(frozen=True)
class WeightsReport:
    """How a file of weights and a net fit, by the names of layers.

    Attributes:
        matched: Layers that got weights.
        missing: Layers of the net that got none.
        unused: Layers of the file that the net lacks.
    """

    matched: list[str] = field(repr=False)
    missing: list[str]
    unused: list[str]

    def sentences(self) -> list[str]:
        """What does not fit, in a sentence for each direction."""
        return [
            f"{len(names)} {what}: {named(names, 10)}"
            for names, what in (
                (self.missing, "layers of the net have no weights in the file"),
                (self.unused, "layers of the file are not in the net"),
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
        weights: How the weights fit.
        notices: What was changed, in sentences.
        scores: Blob of the scores, the values that a softmax makes probabilities of.
    """

    net: caffe.Net
    definition: Definition
    side: int
    classes: int
    weights: WeightsReport | None
    notices: list[str]
    scores: str

    @property
    def learned_params(self) -> int | None:
        """Parameters without the statistics of batch norms; None if not countable."""
        side = self.definition.side
        try:
            counts = analyse(
                self.definition.net, {self.definition.image: (1, 3, side, side)}
            )
        except ValueError:  # a layer from a plugin, perhaps
            return None
        return counts.total.learned

    def forward(self, crops: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Logarithms of the classes' probabilities.

        Unlike float32 probabilities they still tell the unlikely classes apart.

        Args:
            crops: (N, 3, side, side), N up to the batch.

        Returns:
            (N, classes).
        """
        blob = self.net.blobs[_INPUT]
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
        weights: A caffemodel; None leaves the fillers' values.
        side: Height and width of the crops.
        batch: Crops in a forward pass.
        strict: Whether every layer has to get weights, and all weights a layer.
        optimize: Fuse layers; then only the scores can be read.
        precision: "float32", or "bf16" for products of rounded operands.

    Raises:
        ValueError: The weights do not belong to the net, or it is no classifier.
        OSError: The file cannot be read.
    """
    notices = []
    net = caffe_pb2.NetParameter()
    net.CopyFrom(definition.net)
    if side != definition.side:
        native = _built(net, definition.image, definition.side, 1)
        for layer in net.layer:
            if _covers_map(layer, native):
                param = layer.pooling_param
                notices.append(
                    f"layer '{layer.name}' averages {param.kernel_size}x"
                    f"{param.kernel_size}, the whole map at {definition.side}x"
                    f"{definition.side}; for {side}x{side} it was made global"
                )
                for name in ("kernel_size", "stride", "pad"):
                    param.ClearField(name)
                param.global_pooling = True
        del native
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
    report = None
    if weights is not None:
        report = _fill(built, definition, weights, strict)
    return Network(built, definition, side, shape[1], report, notices, scores)


def _built(
    net: Any, image: str, side: int, batch: int, *, optimize: bool = False
) -> caffe.Net:
    whole = caffe_pb2.NetParameter(name=net.name)
    layer = whole.layer.add(name="evaluation/input", type="Input", top=[_INPUT])
    layer.input_param.shape.add(dim=[batch, 3, side, side])
    whole.layer.extend(net.layer)
    for later in whole.layer:
        for index, name in enumerate(later.bottom):
            if name == image:
                later.bottom[index] = _INPUT
    with quiet():
        return caffe.Net(whole, caffe.TEST, optimize=optimize)


def _covers_map(layer: Any, native: caffe.Net) -> bool:
    param = layer.pooling_param
    if (
        layer.type != "Pooling"
        or param.pool != caffe_pb2.PoolingParameter.AVE
        or param.global_pooling
        or not param.kernel_size
        or param.pad
    ):
        return False
    bottom = native.blobs[native.bottom_names[layer.name][0]]
    return (bottom.height, bottom.width) == (param.kernel_size, param.kernel_size)


def _fill(
    net: caffe.Net, definition: Definition, weights: Path, strict: bool
) -> WeightsReport:
    if weights.suffix != _SUFFIX:
        raise ValueError(
            f"weights '{weights}': expected a {_SUFFIX} file; HDF5 weights become one "
            "by caffe.Net.copy_from and caffe.Net.save"
        )
    with quiet():
        try:
            net.copy_from(str(weights))
        except ValueError as error:
            raise ValueError(
                f"weights '{weights}' do not belong to net '{definition.name}': {error}"
            ) from None
        stored = caffe.read_net(weights).layer
    names = {layer.name for layer in stored if layer.blobs}
    # What NVIDIA's and intel's batch norms store in one layer the engine has in two.
    names |= {
        f"{layer.name}/scale"
        for layer in stored
        if layer.type == "BatchNorm" and len(layer.blobs) > 3
    }
    layers = list(net.params)
    report = WeightsReport(
        matched=[name for name in layers if name in names],
        missing=[name for name in layers if name not in names],
        unused=sorted(names - set(layers)),
    )
    if 2 * len(report.matched) < len(layers):
        raise ValueError(
            f"weights '{weights}' do not belong to net '{definition.name}': they fill "
            f"{len(report.matched)} of its {len(layers)} layers; the file has for "
            f"example {named(report.unused) or 'nothing'}, the net "
            f"{named(report.missing)}"
        )
    if strict and (report.missing or report.unused):
        raise ValueError(
            f"weights '{weights}' and net '{definition.name}' differ: "
            + "; ".join(report.sentences())
            + " (without --strict that is a warning)"
        )
    try:
        net.check_weights()
    except ValueError as error:
        raise ValueError(f"weights '{weights}': {error}") from None
    return report
