"""SKNet: bottleneck networks of Selective Kernel units.

Li, Wang, Hu, Yang: Selective Kernel Networks, CVPR 2019,
https://arxiv.org/abs/1903.06586; layer for layer as in the released prototxt files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.net_spec import params as P
from sknet.models.layers import GAUSSIAN, batch_norm, classifier, convolution
from sknet.models.registry import Model, register_model

# The paper's reduction ratio r and floor L of the attention width d = max(C / r, L).
REDUCTION = 16
ATTENTION_FLOOR = 32
# An output of a block is this many times as wide as its middle.
EXPANSION = 2


@dataclass(frozen=True)
class SKNet(Model):
    """Configuration of one network.

    Attributes:
        depths: Blocks of each stage; the stages are called conv2, conv3, ...
        widths: Channels C of the units of each stage; its output has 2C.
        attention_widths: Width d of each stage's attention; by default the paper's
            rule.
        groups: Groups of the 3x3 convolutions.
        stem_channels: Channels of the first convolution.
        stem_kernel: Its kernel: 7, followed by a pooling, or 3 without one.
        final_pool: Kernel of the last average pooling; 0 averages the whole map and so
            takes images of every size.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...] = (128, 256, 512, 1024)
    attention_widths: tuple[int, ...] | None = None
    groups: int = 32
    stem_channels: int = 64
    stem_kernel: int = 7
    final_pool: int = 7

    def __post_init__(self) -> None:
        """Rejects configurations that no net can have."""
        stages = len(self.depths)
        for field, values in (
            ("widths", self.widths),
            ("attention_widths", self.attention_widths),
        ):
            if values is not None and len(values) != stages:
                raise ValueError(
                    f"{self.name}: {len(values)} {field}, expected {stages}, one for "
                    "each entry of depths"
                )
        for width in self.widths:
            if width % self.groups:
                raise ValueError(
                    f"{self.name}: width {width} is not a multiple of groups, "
                    f"{self.groups}"
                )
        for field, number in (
            ("classes", self.classes),
            ("image_size", self.image_size),
            *(("depths", depth) for depth in self.depths),
        ):
            if number < 1:
                raise ValueError(f"{self.name}: {field} is {number}, expected >= 1")

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, stages, average pooling and classifier."""
        top = self._stem(net, data)
        for stage, (depth, width) in enumerate(
            zip(self.depths, self.widths, strict=True)
        ):
            attention = (
                self.attention_widths[stage]
                if self.attention_widths
                else max(width // REDUCTION, ATTENTION_FLOOR)
            )
            for index in range(depth):
                top = block(
                    net,
                    f"conv{stage + 2}_{index + 1}",
                    top,
                    width,
                    attention,
                    groups=self.groups,
                    stride=2 if stage > 0 and index == 0 else 1,
                    project=index == 0,
                )
        window = (
            {"kernel_size": self.final_pool, "stride": 1}
            if self.final_pool
            else {"global_pooling": True}
        )
        pool = "avepool/7x7" if self.stem_kernel == 7 else "avepool"
        net[pool] = L.Pooling(top, pool=P.Pooling.AVE, **window)
        return classifier(net, "classifier", net[pool], self.classes)

    def _stem(self, net: NetSpec, data: Top) -> Top:
        kernel = self.stem_kernel
        name = f"conv1/{kernel}x{kernel}_s2"
        conv = convolution(net, name, data, self.stem_channels, kernel, stride=2)
        top = batch_norm(net, name, conv, relu=True)
        if kernel == 7:
            # Without padding: Caffe rounds the output size up, 112 -> 56.
            net["pool1/3x3_s2"] = L.Pooling(
                top, pool=P.Pooling.MAX, kernel_size=3, stride=2
            )
            top = net["pool1/3x3_s2"]
        return top


def block(
    net: NetSpec,
    name: str,
    bottom: Top,
    width: int,
    attention_width: int,
    *,
    groups: int,
    stride: int,
    project: bool,
) -> Top:
    """A bottleneck: 1x1 reduction, SK unit, 1x1 increase, shortcut, ReLU.

    `project` puts a 1x1 convolution with the same stride into the shortcut.
    """
    reduced = f"{name}/1x1_reduce"
    top = batch_norm(
        net, reduced, convolution(net, reduced, bottom, width, 1), relu=True
    )
    top = sk_unit(net, name, top, width, attention_width, groups=groups, stride=stride)
    increased = f"{name}/1x1_increase"
    main = batch_norm(
        net,
        increased,
        convolution(net, increased, top, EXPANSION * width, 1),
        relu=False,
    )
    shortcut = bottom
    if project:
        projected = f"{name}/1x1_proj"
        shortcut = batch_norm(
            net,
            projected,
            convolution(net, projected, bottom, EXPANSION * width, 1, stride=stride),
            relu=False,
        )
    net[name] = L.Eltwise(main, shortcut, operation=P.Eltwise.SUM)
    net[f"{name}/relu"] = L.ReLU(net[name], in_place=True)
    return net[f"{name}/relu"]


def sk_unit(
    net: NetSpec,
    name: str,
    bottom: Top,
    width: int,
    attention_width: int,
    *,
    groups: int,
    stride: int,
) -> Top:
    """A Selective Kernel unit with a 3x3 branch and one of dilated 3x3 ("5x5").

    Per image and channel, a softmax over the branches (`<name>/B_slice0` weighs the
    plain one, `<name>/B_slice1` the dilated one) chooses between them, from the global
    average of their sum.
    """
    plain = f"{name}/3x3g{groups}"
    dilated = f"{plain}d2"
    branches = [
        batch_norm(
            net,
            branch,
            convolution(
                net,
                branch,
                bottom,
                width,
                3,
                stride=stride,
                dilation=dilation,
                group=groups,
            ),
            relu=True,
        )
        for branch, dilation in ((plain, 1), (dilated, 2))
    ]
    weights = _attention(net, name, branches, width, attention_width)
    # The plain branch is weighed by Scale, which wants N x C weights; Axpy weighs the
    # dilated branch and adds.
    net[f"{name}/B_w0/reshape"] = L.Reshape(weights[0], shape={"dim": [0, 0]})
    net[f"{name}/scale"] = L.Scale(
        branches[0], net[f"{name}/B_w0/reshape"], axis=0, bias_term=False
    )
    net[f"{name}/B_axpy"] = L.Axpy(weights[1], branches[1], net[f"{name}/scale"])
    return net[f"{name}/B_axpy"]


def _attention(
    net: NetSpec, name: str, branches: list[Top], width: int, attention_width: int
) -> list[Top]:
    """Weights of the branches, each N x C x 1 x 1."""
    fused = f"{name}_3x3"
    net[fused] = L.Eltwise(*branches, operation=P.Eltwise.SUM)
    net[f"{name}/B_global_pool"] = L.Pooling(
        net[fused], pool=P.Pooling.AVE, global_pooling=True, engine=P.Pooling.CAFFE
    )
    squeezed = f"{name}/B_fc1"
    top = convolution(
        net,
        squeezed,
        net[f"{name}/B_global_pool"],
        attention_width,
        1,
        weight_filler=GAUSSIAN,
    )
    top = batch_norm(net, squeezed, top, relu=True)
    scores = f"{name}/B_fc2"
    top = convolution(
        net, scores, top, len(branches) * width, 1, weight_filler=GAUSSIAN
    )
    net[f"{name}/B_re"] = L.Reshape(top, shape={"dim": [0, len(branches), -1, 0]})
    net[f"{name}/B_softmax"] = L.Softmax(net[f"{name}/B_re"], axis=1)
    slices = L.Slice(
        net[f"{name}/B_softmax"],
        name=f"{name}/B_slice",
        ntop=len(branches),
        axis=1,
        slice_point=list(range(1, len(branches))),
    )
    for index, part in enumerate(slices):
        net[f"{name}/B_slice{index}_"] = part
    # The last first, as in the released files.
    for index in reversed(range(len(branches))):
        net[f"{name}/B_slice{index}"] = L.Reshape(
            slices[index], shape={"dim": [0, width, -1, 0]}
        )
    return [net[f"{name}/B_slice{index}"] for index in range(len(branches))]


def _imagenet(config: SKNet, options: dict[str, Any]) -> SKNet:
    """Applies `options`; another image size gets a pooling that fits every size."""
    if options.get("image_size", config.image_size) != config.image_size:
        options = {"final_pool": 0, **options}
    return configured(config, options)


def configured(config: SKNet, options: dict[str, Any]) -> SKNet:
    """`config` with the fields in `options` replaced."""
    unknown = sorted(set(options) - set(config.__dataclass_fields__))
    if unknown:
        raise ValueError(
            f"{config.name}: unknown option '{unknown[0]}' "
            f"(known: {', '.join(config.__dataclass_fields__)})"
        )
    return replace(config, **options)


def _config(name: str, depths: tuple[int, ...], **fields: Any) -> SKNet:
    return SKNet(
        name=name,
        classes=1000,
        image_size=224,
        recipe="imagenet",
        depths=depths,
        **fields,
    )


@register_model
def sknet26(**options: Any) -> SKNet:
    """SKNet-26: the paper's Figure 2; 16.7 M parameters, 2.59 GFLOPs."""
    return _imagenet(_config("sknet26", (2, 2, 2, 2)), options)


@register_model
def sknet50(**options: Any) -> SKNet:
    """SKNet-50: equals the released sknet50.prototxt; 27.5 M, 4.47 GFLOPs."""
    return _imagenet(_config("sknet50_basic", (3, 4, 6, 3)), options)


@register_model
def sknet101(**options: Any) -> SKNet:
    """SKNet-101: equals the released sknet101.prototxt; 48.7 M, 8.46 GFLOPs.

    The release has attention width 16 in conv3, below the paper's floor of 32;
    `sknet101_rule` follows the paper. Their weights do not fit each other there.
    """
    config = _config("sknet101", (3, 4, 23, 3), attention_widths=(32, 16, 32, 64))
    return _imagenet(config, options)


@register_model
def sknet101_rule(**options: Any) -> SKNet:
    """SKNet-101 with attention width 32 in conv3, as in the paper; 48.7 M, 8.46."""
    return _imagenet(_config("sknet101_rule", (3, 4, 23, 3)), options)


@register_model
def sknet_digits(**options: Any) -> SKNet:
    """A small SKNet for 32x32 images of ten classes, as the demonstration trains."""
    config = SKNet(
        name="sknet_digits",
        classes=10,
        image_size=32,
        recipe="digits",
        depths=(1, 1, 1),
        widths=(64, 128, 256),
        groups=16,
        stem_channels=32,
        stem_kernel=3,
        final_pool=0,
    )
    return configured(config, options)
