"""Inception-V3, Inception-V4 and Inception-ResNet-V2, for 299x299 images.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for
Computer Vision, CVPR 2016, https://arxiv.org/abs/1512.00567; Szegedy, Ioffe,
Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the Impact of Residual Connections
on Learning, AAAI 2017, https://arxiv.org/abs/1602.07261.

Caffe's average pooling counts padded pixels in its mean; the authors' does not. Weights
trained elsewhere see slightly darker borders here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.net_spec import params as P
from sknet.models.layers import (
    activation,
    add,
    average_pool,
    classifier,
    conv_bn,
    convolution,
    global_pool,
    inner_product,
)
from sknet.models.registry import Model, configured, register_model

BATCH_NORM_EPS = 1e-3
DROPOUT = 0.2
# Weight of the auxiliary head's loss, as in torchvision and TensorFlow's slim.
AUXILIARY_WEIGHT = 0.4

# Modules are written as branches, and branches as steps: "96@3x3" is a convolution of
# 96 channels that keeps the size, with batch norm and ReLU; "v" leaves the padding out,
# "/2" is stride 2; "ave" is an average pooling of 3x3 that keeps the size, "max/2" a
# maximum of 3x3 with stride 2; {x|y} applies two convolutions to the same blob. The
# outputs are concatenated.
_STEP = re.compile(r"(\d+)@(\d)x(\d)(/2)?(v)?")

_V3_STEM = "32@3x3/2v 32@3x3v 64@3x3 max/2 80@1x1 192@3x3v max/2"
_V3_A = ("64@1x1", "48@1x1 64@5x5", "64@1x1 96@3x3 96@3x3")
_V3_REDUCTION_A = ("384@3x3/2v", "64@1x1 96@3x3 96@3x3/2v", "max/2")
_V3_REDUCTION_B = (
    "192@1x1 320@3x3/2v",
    "192@1x1 192@1x7 192@7x1 192@3x3/2v",
    "max/2",
)
_V3_C = (
    "320@1x1",
    "384@1x1 {384@1x3|384@3x1}",
    "448@1x1 384@3x3 {384@1x3|384@3x1}",
    "ave 192@1x1",
)

_V4_STEM: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("stem1", ("max/2", "96@3x3/2v")),
    ("stem2", ("64@1x1 96@3x3v", "64@1x1 64@1x7 64@7x1 96@3x3v")),
    ("stem3", ("192@3x3/2v", "max/2")),
)
_V4_A = ("96@1x1", "64@1x1 96@3x3", "64@1x1 96@3x3 96@3x3", "ave 96@1x1")
_V4_REDUCTION_A = ("384@3x3/2v", "192@1x1 224@3x3 256@3x3/2v", "max/2")
_V4_B = (
    "384@1x1",
    "192@1x1 224@1x7 256@7x1",
    "192@1x1 192@7x1 224@1x7 224@7x1 256@1x7",
    "ave 128@1x1",
)
_V4_REDUCTION_B = (
    "192@1x1 192@3x3/2v",
    "256@1x1 256@1x7 320@7x1 320@3x3/2v",
    "max/2",
)
_V4_C = (
    "256@1x1",
    "384@1x1 {256@1x3|256@3x1}",
    "384@1x1 448@3x1 512@1x3 {256@1x3|256@3x1}",
    "ave 256@1x1",
)

_RESNET_5B = ("96@1x1", "48@1x1 64@5x5", "64@1x1 96@3x3 96@3x3", "ave 64@1x1")
_RESNET_35 = ("32@1x1", "32@1x1 32@3x3", "32@1x1 48@3x3 64@3x3")
_RESNET_REDUCTION_A = ("384@3x3/2v", "256@1x1 256@3x3 384@3x3/2v", "max/2")
_RESNET_17 = ("192@1x1", "128@1x1 160@1x7 192@7x1")
_RESNET_REDUCTION_B = (
    "256@1x1 384@3x3/2v",
    "256@1x1 288@3x3/2v",
    "256@1x1 288@3x3 320@3x3/2v",
    "max/2",
)
_RESNET_8 = ("192@1x1", "192@1x1 224@1x3 256@3x1")


def _convolve(net: NetSpec, name: str, bottom: Top, step: str) -> Top:
    match = _STEP.fullmatch(step)
    if not match:
        raise ValueError(f"'{name}': cannot read the step '{step}'")
    channels, height, width = map(int, match.groups()[:3])
    kernel: int | tuple[int, int] = (height, width)
    if height == width:
        kernel = height
    return conv_bn(
        net,
        name,
        bottom,
        channels,
        kernel,
        stride=2 if match[4] else 1,
        pad=0 if match[5] else None,
        eps=BATCH_NORM_EPS,
    )


def _pool(net: NetSpec, name: str, bottom: Top, step: str) -> Top:
    if step == "ave":
        return average_pool(net, name, bottom, 3, 1, 1)
    # Convolutions round their size down; the pooling beside them has to do the same for
    # images of other sizes than 299.
    net[name] = L.Pooling(
        bottom,
        pool=P.Pooling.MAX,
        kernel_size=3,
        stride=2,
        round_mode=P.Pooling.FLOOR,
    )
    return net[name]


def _branch(net: NetSpec, name: str, bottom: Top, steps: str) -> list[Top]:
    """The steps in a row; one output, or two behind a fork."""
    tops = [bottom]
    used: set[str] = set()
    for step in steps.split():
        outputs = []
        for part in step.strip("{}").split("|"):
            pool = part in ("ave", "max/2")
            kind = "pool" if pool else part.split("@")[1].split("/")[0].rstrip("v")
            layer = kind
            while layer in used:
                layer = f"{kind}_{sum(name.startswith(kind) for name in used) + 1}"
            used.add(layer)
            make = _pool if pool else _convolve
            outputs.append(make(net, f"{name}/{layer}", tops[0], part))
        tops = outputs
    return tops


def _module(net: NetSpec, name: str, bottom: Top, branches: tuple[str, ...]) -> Top:
    """Parallel branches, concatenated in this order."""
    tops = [
        top
        for index, steps in enumerate(branches)
        for top in _branch(net, f"{name}/branch{index + 1}", bottom, steps)
    ]
    net[f"{name}/concat"] = L.Concat(*tops)
    return net[f"{name}/concat"]


def _head(net: NetSpec, bottom: Top, classes: int) -> Top:
    top = global_pool(net, "avepool", bottom)
    net["dropout"] = L.Dropout(top, dropout_ratio=DROPOUT, in_place=True)
    return classifier(net, net["dropout"], classes)


@dataclass(frozen=True)
class InceptionV3(Model):
    """Configuration of the network.

    Attributes:
        auxiliary: Whether training has a second head, behind the last 17x17 module.
    """

    image_size: int = 299
    auxiliary: bool = False

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, modules A, B and C with reductions between, classifier."""
        (top,) = _branch(net, "stem", data, _V3_STEM)
        for index, channels in enumerate((32, 64, 64)):
            branches = (*_V3_A, f"ave {channels}@1x1")
            top = _module(net, f"inception_a{index + 1}", top, branches)
        top = _module(net, "reduction_a", top, _V3_REDUCTION_A)
        for index, c in enumerate((128, 160, 160, 192)):
            branches = (
                "192@1x1",
                f"{c}@1x1 {c}@1x7 192@7x1",
                f"{c}@1x1 {c}@7x1 {c}@1x7 {c}@7x1 192@1x7",
                "ave 192@1x1",
            )
            top = _module(net, f"inception_b{index + 1}", top, branches)
        top = _module(net, "reduction_b", top, _V3_REDUCTION_B)
        for index in range(2):
            top = _module(net, f"inception_c{index + 1}", top, _V3_C)
        return _head(net, top, self.classes)

    def add_auxiliary_to(self, net: NetSpec) -> list[tuple[Top, float]]:
        """The second head, if this network has it."""
        if not self.auxiliary:
            return []
        top = average_pool(net, "aux/pool", net["inception_b4/concat"], 5, 3)
        top = _convolve(net, "aux/1x1", top, "128@1x1")
        top = _convolve(net, "aux/5x5", top, "768@5x5v")
        # One pixel of a 299x299 image; larger ones have more.
        top = global_pool(net, "aux/avepool", top)
        scores = inner_product(net, "aux/classifier", top, self.classes)
        return [(scores, AUXILIARY_WEIGHT)]


@dataclass(frozen=True)
class InceptionV4(Model):
    """Configuration of the network."""

    image_size: int = 299

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, modules A, B and C with reductions between, classifier."""
        (top,) = _branch(net, "stem", data, "32@3x3/2v 32@3x3v 64@3x3")
        for name, branches in _V4_STEM:
            top = _module(net, name, top, branches)
        for kind, count, branches, reduction in (
            ("a", 4, _V4_A, _V4_REDUCTION_A),
            ("b", 7, _V4_B, _V4_REDUCTION_B),
            ("c", 3, _V4_C, None),
        ):
            for index in range(count):
                top = _module(net, f"inception_{kind}{index + 1}", top, branches)
            if reduction:
                top = _module(net, f"reduction_{kind}", top, reduction)
        return _head(net, top, self.classes)


@dataclass(frozen=True)
class InceptionResNetV2(Model):
    """Configuration of the network."""

    image_size: int = 299

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, residual modules of three sizes with reductions between, classifier."""
        (top,) = _branch(net, "stem", data, _V3_STEM)
        top = _module(net, "mixed_5b", top, _RESNET_5B)
        for index in range(10):
            name = f"block35_{index + 1}"
            top = _residual(net, name, top, _RESNET_35, 320, 0.17)
        top = _module(net, "reduction_a", top, _RESNET_REDUCTION_A)
        for index in range(20):
            name = f"block17_{index + 1}"
            top = _residual(net, name, top, _RESNET_17, 1088, 0.1)
        top = _module(net, "reduction_b", top, _RESNET_REDUCTION_B)
        for index in range(9):
            top = _residual(net, f"block8_{index + 1}", top, _RESNET_8, 2080, 0.2)
        top = _residual(net, "block8_10", top, _RESNET_8, 2080, 1, relu=False)
        top = _convolve(net, "conv_7b", top, "1536@1x1")
        return _head(net, top, self.classes)


def _residual(
    net: NetSpec,
    name: str,
    bottom: Top,
    branches: tuple[str, ...],
    channels: int,
    scale: float,
    *,
    relu: bool = True,
) -> Top:
    """Adds scale * (1x1 convolution, with bias, of the branches) to its input."""
    top = _module(net, name, bottom, branches)
    top = convolution(net, f"{name}/up", top, channels, 1, bias=True)
    if scale == 1:
        return add(net, name, bottom, top, relu=relu)
    net[name] = L.Eltwise(bottom, top, operation=P.Eltwise.SUM, coeff=[1, scale])
    return activation(net, f"{name}/relu", net[name]) if relu else net[name]


@register_model
def inception_v3(**options: Any) -> InceptionV3:
    """Inception-V3 without auxiliary head, 299x299: 23.8 M parameters, 5.73 GFLOPs."""
    return configured(InceptionV3("inception_v3"), options)


@register_model
def inception_v3_aux(**options: Any) -> InceptionV3:
    """Inception-V3, trained with an auxiliary head, 299x299: 27.2 M, 5.73 GFLOPs."""
    return configured(InceptionV3("inception_v3_aux", auxiliary=True), options)


@register_model
def inception_v4(**options: Any) -> InceptionV4:
    """Inception-V4, 299x299: 42.7 M parameters, 12.31 GFLOPs."""
    return configured(InceptionV4("inception_v4"), options)


@register_model
def inception_resnet_v2(**options: Any) -> InceptionResNetV2:
    """Inception-ResNet-V2, 299x299: 55.8 M parameters, 13.22 GFLOPs."""
    return configured(InceptionResNetV2("inception_resnet_v2"), options)
