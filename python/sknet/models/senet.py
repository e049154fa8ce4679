"""SENet: squeeze-and-excitation in ResNet, ResNeXt and SENet-154.

Hu, Shen, Sun: Squeeze-and-Excitation Networks, CVPR 2018,
https://arxiv.org/abs/1709.01507; names and order as in the released deploy files. There
every batch norm is a BatchNorm and a Scale on the convolution's own blob; here it is
one CuDNNBatchNorm, which can be trained, on the same blob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from sknet.models.layers import (
    GAUSSIAN,
    activation,
    average_pool,
    batch_norm,
    classifier,
    convolution,
    global_pool,
    max_pool,
)
from sknet.models.registry import Model, Release, configured, register_model
from sknet.models.resnext import DEPTHS_50, DEPTHS_101, cifar

REDUCTION = 16
RELEASE = Release("deploy")


def conv_norm(
    net: NetSpec,
    name: str,
    bottom: Top,
    num_output: int,
    kernel: int,
    *,
    relu: str = "",
    **geometry: Any,
) -> Top:
    """Convolution, batch norm in place, and a ReLU called `relu` if that is given."""
    top = convolution(net, name, bottom, num_output, kernel, **geometry)
    top = batch_norm(net, name, top, relu=False, in_place=True)
    return activation(net, relu, top) if relu else top


def excitation(net: NetSpec, name: str, bottom: Top, channels: int) -> Top:
    """A weight for every channel from their means: N x C x 1 x 1 in (0, 1)."""
    top = global_pool(net, f"{name}_global_pool", bottom, engine=True)
    down, up = f"{name}_1x1_down", f"{name}_1x1_up"
    top = convolution(
        net, down, top, channels // REDUCTION, 1, bias=True, weight_filler=GAUSSIAN
    )
    top = activation(net, f"{down}/relu", top)
    top = convolution(net, up, top, channels, 1, bias=True, weight_filler=GAUSSIAN)
    return activation(net, f"{name}_prob", top, "Sigmoid")


def head(
    net: NetSpec, bottom: Top, classes: int, final_pool: int, dropout: float = 0
) -> Top:
    """Average pooling, dropout if its ratio is not 0, classifier."""
    name = "pool5/7x7_s1"
    if final_pool:
        top = average_pool(net, name, bottom, final_pool, 1)
    else:
        top = global_pool(net, name, bottom)
    if dropout:
        net["pool5/dropout_7x7_s1"] = L.Dropout(
            top, dropout_ratio=dropout, in_place=True
        )
        top = net["pool5/dropout_7x7_s1"]
    return classifier(net, top, classes)


@dataclass(frozen=True)
class SENet(Model):
    """Configuration of one network; stages are called conv2, conv3, ...

    Attributes:
        depths: Blocks of each stage.
        reductions: Channels behind the first convolution of each stage's blocks.
        widths: Channels behind the second.
        outputs: Channels behind the third, and of the block.
        groups: Groups of the second.
        stride_first: Whether the first convolution has the stride, as in ResNet, or
            the second, as in ResNeXt.
        stem: Layers in front: "7x7", "3x3" for three of those, "cifar" for one.
        projection: Kernel of the shortcut's convolution where its stride is 2.
        dropout: Ratio in front of the classifier.
        final_pool: Kernel of the last average pooling; 0 averages the whole map and so
            takes images of every size.
    """

    depths: tuple[int, ...] = DEPTHS_50
    reductions: tuple[int, ...] = (128, 256, 512, 1024)
    widths: tuple[int, ...] = (128, 256, 512, 1024)
    outputs: tuple[int, ...] = (256, 512, 1024, 2048)
    groups: int = 32
    stride_first: bool = False
    stem: str = "7x7"
    projection: int = 1
    dropout: float = 0
    final_pool: int = 7

    def __post_init__(self) -> None:
        """Rejects configurations that no net can have."""
        super().__post_init__()
        self.check_stages(len(self.depths), "depths", "reductions", "widths", "outputs")
        for width in (*self.reductions, *self.widths):
            self.check_groups(width, self.groups)

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, stages, average pooling and classifier."""
        top = self._stem(net, data)
        for stage, depth in enumerate(self.depths):
            for index in range(depth):
                top = self._block(net, f"conv{stage + 2}_{index + 1}", top, stage)
        return head(net, top, self.classes, self.final_pool, self.dropout)

    def _stem(self, net: NetSpec, data: Top) -> Top:
        if self.stem == "cifar":
            return conv_norm(net, "conv1/3x3", data, 64, 3, relu="conv1/relu_3x3")
        if self.stem == "3x3":
            top = data
            for name, channels in (("1_1", 64), ("1_2", 64), ("1_3", 128)):
                kind, stride = ("3x3_s2", 2) if name == "1_1" else ("3x3", 1)
                top = conv_norm(
                    net,
                    f"conv{name}/{kind}",
                    top,
                    channels,
                    3,
                    stride=stride,
                    relu=f"conv{name}/relu_{kind}",
                )
        else:
            relu = "conv1/relu_7x7_s2"
            top = conv_norm(net, "conv1/7x7_s2", data, 64, 7, stride=2, relu=relu)
        # Without padding: Caffe rounds the output size up, 112 -> 56.
        return max_pool(net, "pool1/3x3_s2", top, 3, 2)

    def _block(self, net: NetSpec, name: str, bottom: Top, stage: int) -> Top:
        """1x1 reduction, 3x3, 1x1 increase, excitation, shortcut, ReLU."""
        first = name.endswith("_1")
        stride = 2 if first and stage > 0 else 1
        strides = (stride, 1) if self.stride_first else (1, stride)
        layer = f"{name}_1x1_reduce"
        top = conv_norm(
            net,
            layer,
            bottom,
            self.reductions[stage],
            1,
            stride=strides[0],
            relu=f"{layer}/relu",
        )
        layer = f"{name}_3x3"
        top = conv_norm(
            net,
            layer,
            top,
            self.widths[stage],
            3,
            stride=strides[1],
            group=self.groups,
            relu=f"{layer}/relu",
        )
        output = self.outputs[stage]
        top = conv_norm(net, f"{name}_1x1_increase", top, output, 1)
        weights = excitation(net, name, top, output)
        shortcut = bottom
        if first:
            kernel = self.projection if stride > 1 else 1
            shortcut = conv_norm(
                net, f"{name}_1x1_proj", bottom, output, kernel, stride=stride
            )
        net[name] = L.Axpy(weights, top, shortcut)
        return activation(net, f"{name}/relu", net[name])


@register_model
def senet50(**options: Any) -> SENet:
    """SENet-50, released as SE-ResNeXt-50 (32x4d): 27.6 M, 4.25 GFLOPs."""
    return configured(SENet("SE-ResNeXt-50 (32 x 4d)", release=RELEASE), options)


@register_model
def senet101(**options: Any) -> SENet:
    """SENet-101, released as SE-ResNeXt-101 (32x4d): 49.0 M, 8.00 GFLOPs."""
    config = SENet("SE-ResNeXt-101 (32 x 4d)", release=RELEASE, depths=DEPTHS_101)
    return configured(config, options)


def _se_resnet(name: str, depths: tuple[int, ...], options: dict[str, Any]) -> SENet:
    widths = (64, 128, 256, 512)
    config = SENet(
        name,
        release=RELEASE,
        depths=depths,
        reductions=widths,
        widths=widths,
        groups=1,
        stride_first=True,
    )
    return configured(config, options)


@register_model
def se_resnet50(**options: Any) -> SENet:
    """SE-ResNet-50: 28.1 M parameters, 3.87 GFLOPs."""
    return _se_resnet("SE-ResNet-50", DEPTHS_50, options)


@register_model
def se_resnet101(**options: Any) -> SENet:
    """SE-ResNet-101: 49.3 M parameters, 7.60 GFLOPs."""
    return _se_resnet("SE-ResNet-101", DEPTHS_101, options)


@register_model
def se_resnet152(**options: Any) -> SENet:
    """SE-ResNet-152: 66.8 M parameters, 11.32 GFLOPs."""
    return _se_resnet("SE-ResNet-152", (3, 8, 36, 3), options)


@register_model
def senet154(**options: Any) -> SENet:
    """SENet-154: 115.1 M parameters, 20.7 GFLOPs."""
    config = SENet(
        "SENet",
        release=RELEASE,
        depths=(3, 8, 36, 3),
        widths=(256, 512, 1024, 2048),
        groups=64,
        stem="3x3",
        projection=3,
        dropout=0.2,
    )
    return configured(config, options)


@register_model
def senet29(**options: Any) -> SENet:
    """SENet-29 for CIFAR, squeeze-and-excitation in ResNeXt-29 (8x64d): 35.0 M."""
    widths = (512, 1024, 2048)
    fields = cifar(reductions=widths, widths=widths, groups=8, stem="cifar")
    del fields["stem_kernel"], fields["stem_stride"]
    return configured(SENet("senet29", final_pool=0, **fields), options)
