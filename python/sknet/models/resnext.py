"""ResNeXt: bottleneck networks with grouped convolutions; the frame of other families.

Xie, Girshick, Dollar, Tu, He: Aggregated Residual Transformations for Deep Neural
Networks, CVPR 2017, https://arxiv.org/abs/1611.05431. Names are those of the SKNet
release, whose networks are these with another unit in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from sknet.models.layers import (
    add,
    average_pool,
    classifier,
    conv_bn,
    global_pool,
    max_pool,
)
from sknet.models.registry import Model, configured, register_model


@dataclass(frozen=True)
class Block:
    """Place and size of one bottleneck.

    Attributes:
        name: Prefix of its layers, and name of its output blob.
        stage: Index of its stage, from 0.
        width: Channels of the middle.
        output: Channels of the output.
        stride: Of the middle and of the shortcut's convolution.
        project: Whether the shortcut has a convolution.
        size: Side of the square output in pixels.
    """

    name: str
    stage: int
    width: int
    output: int
    stride: int
    project: bool
    size: int


@dataclass(frozen=True)
class ResNeXt(Model):
    """Configuration of one network; families derived from it replace parts of a block.

    Attributes:
        depths: Blocks of each stage; the stages are called conv2, conv3, ...
        widths: Channels C in the middle of the blocks of each stage.
        outputs: Channels of each stage's output; by default 2C.
        groups: Groups of the 3x3 convolutions.
        stem_channels: Channels of the first convolution.
        stem_kernel: Its kernel: 7, followed by a pooling, or 3 without one.
        stem_stride: Its stride.
        final_pool: Kernel of the last average pooling; 0 averages the whole map and so
            takes images of every size.
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (128, 256, 512, 1024)
    outputs: tuple[int, ...] | None = None
    groups: int = 32
    stem_channels: int = 64
    stem_kernel: int = 7
    stem_stride: int = 2
    final_pool: int = 0

    def __post_init__(self) -> None:
        """Rejects configurations that no net can have."""
        super().__post_init__()
        self.check_stages(len(self.depths), "depths", "widths", "outputs")
        for width in self.widths:
            self.check_groups(width, self.groups)

    def blocks(self) -> list[list[Block]]:
        """All blocks, stage by stage."""
        size = -(-self.image_size // self.stem_stride)
        if self.stem_kernel == 7:
            # The pooling rounds up, like a window that overhangs.
            size = -(-(size - 3) // 2) + 1
        outputs = self.outputs or tuple(2 * width for width in self.widths)
        stages: list[list[Block]] = []
        for stage, depth in enumerate(self.depths):
            stages.append([])
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                size = -(-size // stride)
                stages[-1].append(
                    Block(
                        f"conv{stage + 2}_{index + 1}",
                        stage,
                        self.widths[stage],
                        outputs[stage],
                        stride,
                        index == 0,
                        size,
                    )
                )
        return stages

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, stages, average pooling and classifier."""
        top = self.stem(net, data)
        for blocks in self.blocks():
            for block in blocks:
                top = self.block(net, block, top)
            top = self.after_stage(net, blocks[-1], top)
        name = "avepool/7x7" if self.stem_kernel == 7 else "avepool"
        if self.final_pool:
            top = average_pool(net, name, top, self.final_pool, 1)
        else:
            top = global_pool(net, name, top)
        return classifier(net, top, self.classes)

    def stem(self, net: NetSpec, data: Top) -> Top:
        """The first convolution, and its pooling if it is 7x7."""
        kernel, stride = self.stem_kernel, self.stem_stride
        name = f"conv1/{kernel}x{kernel}" + (f"_s{stride}" if stride > 1 else "")
        top = conv_bn(net, name, data, self.stem_channels, kernel, stride=stride)
        if kernel == 7:
            # Without padding: Caffe rounds the output size up, 112 -> 56.
            top = max_pool(net, "pool1/3x3_s2", top, 3, 2)
        return top

    def block(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """A bottleneck: 1x1 reduction, middle, 1x1 increase, shortcut, ReLU."""
        top = conv_bn(net, f"{block.name}/1x1_reduce", bottom, block.width, 1)
        top = self.middle(net, block, top)
        top = conv_bn(
            net, f"{block.name}/1x1_increase", top, block.output, 1, relu=False
        )
        top = self.gate(net, block, top)
        return add(net, block.name, top, self.shortcut(net, block, bottom))

    def middle(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """The grouped 3x3 convolution."""
        name = f"{block.name}/3x3" + (f"g{self.groups}" if self.groups > 1 else "")
        return conv_bn(
            net, name, bottom, block.width, 3, stride=block.stride, group=self.groups
        )

    def gate(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """What weighs the output of a block before the shortcut is added: nothing."""
        return bottom

    def shortcut(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """The input of the block, or a 1x1 convolution of it."""
        if not block.project:
            return bottom
        name = f"{block.name}/1x1_proj"
        return conv_bn(
            net, name, bottom, block.output, 1, stride=block.stride, relu=False
        )

    def after_stage(self, net: NetSpec, last: Block, bottom: Top) -> Top:
        """What follows the last block of a stage: nothing."""
        return bottom


DEPTHS_50 = (3, 4, 6, 3)
DEPTHS_101 = (3, 4, 23, 3)


def cifar(**fields: Any) -> dict[str, Any]:
    """Fields of a network of 29 layers for the 32x32 images of CIFAR."""
    return {
        "recipe": "cifar",
        "classes": 10,
        "image_size": 32,
        "depths": (3, 3, 3),
        "outputs": (256, 512, 1024),
        "stem_kernel": 3,
        "stem_stride": 1,
        **fields,
    }


@register_model
def resnext50(**options: Any) -> ResNeXt:
    """ResNeXt-50 (32x4d): 25.0 M parameters, 4.24 GFLOPs."""
    return configured(ResNeXt("resnext50", depths=DEPTHS_50), options)


@register_model
def resnext101(**options: Any) -> ResNeXt:
    """ResNeXt-101 (32x4d): 44.3 M parameters, 7.99 GFLOPs."""
    return configured(ResNeXt("resnext101", depths=DEPTHS_101), options)


@register_model
def resnext50_wider(**options: Any) -> ResNeXt:
    """ResNeXt-50 with all widths times 17/16 (SKNet's Table 3): 28.1 M, 4.74 GFLOPs."""
    config = ResNeXt(
        "resnext50_wider",
        depths=DEPTHS_50,
        widths=(136, 272, 544, 1088),
        groups=34,
    )
    return configured(config, options)


@register_model
def resnext56(**options: Any) -> ResNeXt:
    """ResNeXt-56 (SKNet's Table 3, deeper): 27.3 M parameters, 4.67 GFLOPs."""
    return configured(ResNeXt("resnext56", depths=(3, 4, 8, 3)), options)


@register_model
def resnext50_36x4d(**options: Any) -> ResNeXt:
    """ResNeXt-50 with 36 groups (SKNet's Table 3): 27.6 M, 4.70 GFLOPs."""
    config = ResNeXt(
        "resnext50_36x4d",
        depths=DEPTHS_50,
        widths=(144, 288, 576, 1152),
        outputs=(256, 512, 1024, 2048),
        groups=36,
    )
    return configured(config, options)


@register_model
def resnext29_16x32d(**options: Any) -> ResNeXt:
    """ResNeXt-29 (16x32d) for CIFAR: 25.2 M parameters."""
    fields = cifar(widths=(512, 1024, 2048), groups=16)
    return configured(ResNeXt("resnext29_16x32d", **fields), options)


@register_model
def resnext29_8x64d(**options: Any) -> ResNeXt:
    """ResNeXt-29 (8x64d) for CIFAR: 34.4 M parameters."""
    fields = cifar(widths=(512, 1024, 2048), groups=8)
    return configured(ResNeXt("resnext29_8x64d", **fields), options)


@register_model
def resnext29_16x64d(**options: Any) -> ResNeXt:
    """ResNeXt-29 (16x64d) for CIFAR: 68.1 M parameters."""
    fields = cifar(widths=(1024, 2048, 4096), groups=16)
    return configured(ResNeXt("resnext29_16x64d", **fields), options)
