"""SKNet: bottleneck networks of Selective Kernel units.

Li, Wang, Hu, Yang: Selective Kernel Networks, CVPR 2019,
https://arxiv.org/abs/1903.06586; layer for layer as in the released prototxt files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from sknet.models.layers import (
    GAUSSIAN,
    add,
    batch_norm,
    conv_bn,
    convolution,
    global_pool,
)
from sknet.models.registry import Release, configured, register_model
from sknet.models.resnext import DEPTHS_50, DEPTHS_101, Block, ResNeXt, cifar

# The paper's reduction ratio r and floor L of the attention width d = max(C / r, L).
REDUCTION = 16
ATTENTION_FLOOR = 32


@dataclass(frozen=True)
class Branch:
    """One convolution of an SK unit.

    Attributes:
        kernel: Side of its kernel.
        dilation: Distance of the kernel's elements.
        groups: Its groups; 0 stands for those of the network.
    """

    kernel: int = 3
    dilation: int = 1
    groups: int = 0

    def __str__(self) -> str:
        """As `parse` reads it."""
        groups = f"g{self.groups}" if self.groups else ""
        dilation = f"d{self.dilation}" if self.dilation > 1 else ""
        return f"{self.kernel}x{self.kernel}{groups}{dilation}"

    @classmethod
    def parse(cls, text: str) -> Branch:
        """Reads `3x3`, `3x3d2` or `5x5g64`: kernel, groups, dilation."""
        match = re.fullmatch(r"(\d+)x(\d+)(?:g(\d+))?(?:d(\d+))?", text)
        if not match or match[1] != match[2] or int(match[1]) % 2 == 0:
            raise ValueError(
                f"branch '{text}', expected a square kernel of odd size with groups "
                "and dilation if it has any, such as 3x3, 3x3d2 or 5x5g64"
            )
        return cls(int(match[1]), int(match[4] or 1), int(match[3] or 0))

    @classmethod
    def covering(cls, size: int) -> Branch:
        """A branch that sees size x size pixels: the paper's dilated 3x3, or 1x1."""
        if size < 1 or size % 2 == 0:
            raise ValueError(f"kernel {size}, expected an odd number such as 3, 5 or 7")
        return cls(3, (size - 1) // 2) if size > 1 else cls(1)


@dataclass(frozen=True)
class SKNet(ResNeXt):
    """Configuration of one network.

    Attributes:
        branches: Convolutions of each unit, in the order of their weights.
        attention: Whether a softmax weighs the branches; else they are added.
        attention_widths: Width d of each stage's attention; by default the paper's
            rule.
    """

    branches: tuple[Branch, ...] = (Branch(3), Branch(3, 2))
    attention: bool = True
    attention_widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Rejects configurations that no net can have."""
        super().__post_init__()
        self.check_stages(len(self.depths), "attention_widths")
        if not self.branches:
            raise ValueError(f"{self.name}: no branches, expected one or more")
        for branch in self.branches:
            for width in self.widths:
                self.check_groups(width, branch.groups or self.groups)

    def middle(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """A Selective Kernel unit."""
        names = self._branch_names()
        branches = [
            conv_bn(
                net,
                f"{block.name}/{name}",
                bottom,
                block.width,
                branch.kernel,
                stride=block.stride,
                dilation=branch.dilation,
                group=branch.groups or self.groups,
            )
            for name, branch in zip(names, self.branches, strict=True)
        ]
        if len(branches) == 1:
            return branches[0]  # nothing to choose from
        fused = add(net, f"{block.name}_3x3", *branches, relu=False)
        if not self.attention:
            return fused
        width = (
            self.attention_widths[block.stage]
            if self.attention_widths
            else max(block.width // REDUCTION, ATTENTION_FLOOR)
        )
        weights = _attention(net, block, fused, len(branches), width)
        return _select(net, block.name, branches, weights)

    def _branch_names(self) -> list[str]:
        names: list[str] = []
        for branch in self.branches:
            groups = branch.groups or self.groups
            name = f"{branch.kernel}x{branch.kernel}" + f"g{groups}" * (groups > 1)
            name += f"d{branch.dilation}" * (branch.dilation > 1)
            # Two equal branches, as in a row of the paper's Table 6.
            names.append(f"{name}_{len(names) + 1}" if name in names else name)
        return names


def _attention(
    net: NetSpec, block: Block, fused: Top, branches: int, attention_width: int
) -> list[Top]:
    """Weights of the branches, each N x C x 1 x 1; they add up to 1 in every channel.

    `<block>/B_slice0` weighs the first branch, `B_slice1` the second, ...
    """
    prefix = f"{block.name}/B_"
    pooled = global_pool(net, f"{prefix}global_pool", fused, engine=True)
    squeezed = convolution(
        net, f"{prefix}fc1", pooled, attention_width, 1, weight_filler=GAUSSIAN
    )
    squeezed = batch_norm(net, f"{prefix}fc1", squeezed, relu=True)
    scores = convolution(
        net, f"{prefix}fc2", squeezed, branches * block.width, 1, weight_filler=GAUSSIAN
    )
    net[f"{prefix}re"] = L.Reshape(scores, shape={"dim": [0, branches, -1, 0]})
    net[f"{prefix}softmax"] = L.Softmax(net[f"{prefix}re"], axis=1)
    slices = L.Slice(
        net[f"{prefix}softmax"],
        name=f"{prefix}slice",
        ntop=branches,
        axis=1,
        slice_point=list(range(1, branches)),
    )
    for index, part in enumerate(slices):
        net[f"{prefix}slice{index}_"] = part
    # The last first, as in the released files.
    for index in reversed(range(branches)):
        net[f"{prefix}slice{index}"] = L.Reshape(
            slices[index], shape={"dim": [0, block.width, -1, 0]}
        )
    return [net[f"{prefix}slice{index}"] for index in range(branches)]


def _select(
    net: NetSpec, name: str, branches: Sequence[Top], weights: Sequence[Top]
) -> Top:
    """The weighted sum of the branches.

    The first is weighed by Scale, which wants N x C weights; an Axpy weighs each
    further one and adds.
    """
    net[f"{name}/B_w0/reshape"] = L.Reshape(weights[0], shape={"dim": [0, 0]})
    net[f"{name}/scale"] = L.Scale(
        branches[0], net[f"{name}/B_w0/reshape"], axis=0, bias_term=False
    )
    top = net[f"{name}/scale"]
    last = len(branches) - 1
    for index in range(1, len(branches)):
        axpy = f"{name}/B_axpy" + (str(index) if index < last else "")
        net[axpy] = L.Axpy(weights[index], branches[index], top)
        top = net[axpy]
    return top


@register_model
def sknet26(**options: Any) -> SKNet:
    """SKNet-26: the paper's Figure 2; 16.7 M parameters, 2.59 GFLOPs."""
    return configured(SKNet("sknet26", depths=(2, 2, 2, 2), final_pool=7), options)


@register_model
def sknet50(**options: Any) -> SKNet:
    """SKNet-50: equals the released sknet50.prototxt; 27.5 M, 4.47 GFLOPs."""
    return _sknet50("sknet50_basic", options, release=Release("training"))


@register_model
def sknet101(**options: Any) -> SKNet:
    """SKNet-101: equals the released sknet101.prototxt; 48.7 M, 8.46 GFLOPs.

    The release has attention width 16 in conv3, below the paper's floor of 32;
    `sknet101_rule` follows the paper. Their weights do not fit each other there.
    """
    config = SKNet(
        "sknet101",
        release=Release("training"),
        depths=DEPTHS_101,
        attention_widths=(32, 16, 32, 64),
        final_pool=7,
    )
    return configured(config, options)


@register_model
def sknet101_rule(**options: Any) -> SKNet:
    """SKNet-101 with attention width 32 in conv3, as in the paper; 48.7 M, 8.46."""
    config = SKNet("sknet101_rule", depths=DEPTHS_101, final_pool=7)
    return configured(config, options)


@register_model
def sknet29(**options: Any) -> SKNet:
    """SKNet-29 for CIFAR: 3x3 and 1x1 branches in ResNeXt-29 (16x32d); 27.7 M.

    The paper gives the size only; these branches and d = C/32 are what fits it.
    """
    fields = cifar(widths=(512, 1024, 2048), groups=16, branches=(Branch(3), Branch(1)))
    config = SKNet("sknet29", attention_widths=(16, 32, 64), **fields)
    return configured(config, options)


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
    )
    return configured(config, options)


def _sknet50(name: str, options: dict[str, Any], **fields: Any) -> SKNet:
    return configured(SKNet(name, depths=DEPTHS_50, final_pool=7, **fields), options)


def _register_ablation(name: str, text: str, **fields: Any) -> None:
    """One row of the paper's Table 6 or 7; 3, 5 and 7 name dilated 3x3 kernels."""

    def entry(**options: Any) -> SKNet:
        return _sknet50(name, options, **fields)

    entry.__name__ = name
    entry.__doc__ = text
    register_model(entry)


def _covering(*sizes: int) -> tuple[Branch, ...]:
    return tuple(map(Branch.covering, sizes))


for _name, _text, _branches in (
    ("sknet50_3x3d1", "second branch 3x3 without dilation", (Branch(3), Branch(3))),
    ("sknet50_5x5g64", "second branch 5x5, 64 groups", (Branch(3), Branch(5, 1, 64))),
    (
        "sknet50_7x7g128",
        "second branch 7x7, 128 groups",
        (Branch(3), Branch(7, 1, 128)),
    ),
):
    _register_ablation(_name, f"SKNet-50 of Table 6: {_text}.", branches=_branches)
for _sizes in ((5,), (7,), (3, 7), (5, 7), (3, 5, 7)):
    _register_ablation(
        "sknet50_" + "".join(f"k{size}" for size in _sizes),
        f"SKNet-50 of Table 7: kernels {', '.join(map(str, _sizes))}.",
        branches=_covering(*_sizes),
    )
for _sizes in ((3, 5), (3, 7), (5, 7), (3, 5, 7)):
    _register_ablation(
        "sknet50_" + "".join(f"k{size}" for size in _sizes) + "_sum",
        f"SKNet-50 of Table 7: kernels {', '.join(map(str, _sizes))}, no attention.",
        branches=_covering(*_sizes),
        attention=False,
    )
