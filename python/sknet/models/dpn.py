"""Dual Path Networks: DPN-92 and DPN-98.

Chen, Li, Xiao, Jin, Yan, Feng: Dual Path Networks, NeurIPS 2017,
https://arxiv.org/abs/1707.01629; sizes as in the authors' settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from sknet.models.layers import (
    add,
    batch_norm,
    classifier,
    conv_bn,
    convolution,
    global_pool,
    max_pool,
)
from sknet.models.registry import Model, configured, register_model

_RESIDUAL_WIDTHS = (256, 512, 1024, 2048)


@dataclass(frozen=True)
class DPN(Model):
    """Configuration of one network; stages are called conv2 to conv5.

    Attributes:
        depths: Units of each stage.
        increments: Channels that each unit of a stage adds to the dense path.
        stem_channels: Channels of the first convolution.
        width: Middle channels of the first stage; they double with every stage.
        groups: Groups of the 3x3 convolutions.
    """

    depths: tuple[int, ...] = (3, 4, 20, 3)
    increments: tuple[int, ...] = (16, 32, 24, 128)
    stem_channels: int = 64
    width: int = 96
    groups: int = 32

    def __post_init__(self) -> None:
        """Rejects configurations that no net can have."""
        super().__post_init__()
        self.check_stages(len(self.depths), "depths", "increments")
        if len(self.depths) != len(_RESIDUAL_WIDTHS):
            raise ValueError(
                f"{self.name}: {len(self.depths)} depths, expected "
                f"{len(_RESIDUAL_WIDTHS)}"
            )
        self.check_groups(self.width, self.groups)

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, four stages, batch norm, average pooling and classifier."""
        channels = self.stem_channels
        top = conv_bn(net, "conv1/7x7_s2", data, channels, 7, stride=2)
        # Without padding: Caffe rounds the output size up, 112 -> 56.
        top = max_pool(net, "pool1/3x3_s2", top, 3, 2)
        for stage, depth in enumerate(self.depths):
            paths: tuple[Top, Top] | None = None
            for index in range(depth):
                name = f"conv{stage + 2}_{index + 1}"
                stride = 2 if stage > 0 and index == 0 else 1
                paths = self._unit(net, name, top, paths, stage, stride)
                net[name] = L.Concat(*paths)
                top = net[name]
        top = batch_norm(net, "conv5", top, relu=True)
        top = global_pool(net, "pool5", top)
        return classifier(net, top, self.classes)

    def _unit(
        self,
        net: NetSpec,
        name: str,
        bottom: Top,
        paths: tuple[Top, Top] | None,
        stage: int,
        stride: int,
    ) -> tuple[Top, Top]:
        """One unit; `bottom` is the concatenation of `paths`.

        The first unit of a stage has no paths yet and projects `bottom` to new ones.

        Returns:
            The residual path, increased by this unit, and the dense path, longer by it.
        """
        residual_width = _RESIDUAL_WIDTHS[stage]
        increment = self.increments[stage]
        middle = self.width * 2**stage
        if paths is None:
            paths = self._two_paths(
                net,
                f"{name}/1x1_proj",
                bottom,
                residual_width,
                2 * increment,
                stride=stride,
            )
        top = self._convolution(net, f"{name}/1x1_reduce", bottom, middle, 1)
        grouped = f"{name}/3x3g{self.groups}"
        top = self._convolution(
            net, grouped, top, middle, 3, stride=stride, group=self.groups
        )
        residual, dense = self._two_paths(
            net, f"{name}/1x1_increase", top, residual_width, increment
        )
        residual = add(net, f"{name}/residual", paths[0], residual, relu=False)
        net[f"{name}/dense"] = L.Concat(paths[1], dense)
        return residual, net[f"{name}/dense"]

    def _two_paths(
        self, net: NetSpec, name: str, bottom: Top, first: int, second: int, **k: Any
    ) -> tuple[Top, Top]:
        """A 1x1 convolution, its channels cut in two parts."""
        top = self._convolution(net, name, bottom, first + second, 1, **k)
        parts = L.Slice(top, name=f"{name}/slice", ntop=2, axis=1, slice_point=[first])
        for path, part in zip(("residual", "dense"), parts, strict=True):
            net[f"{name}/{path}"] = part
        return net[f"{name}/residual"], net[f"{name}/dense"]

    @staticmethod
    def _convolution(
        net: NetSpec, name: str, bottom: Top, channels: int, kernel: int, **k: Any
    ) -> Top:
        """Batch norm, ReLU, convolution."""
        active = batch_norm(net, name, bottom, relu=True)
        return convolution(net, name, active, channels, kernel, **k)


@register_model
def dpn92(**options: Any) -> DPN:
    """DPN-92: 37.7 M parameters, 6.50 GFLOPs."""
    return configured(DPN("dpn92"), options)


@register_model
def dpn98(**options: Any) -> DPN:
    """DPN-98: 61.6 M parameters, 11.7 GFLOPs."""
    config = DPN(
        "dpn98",
        depths=(3, 6, 20, 3),
        increments=(16, 32, 32, 128),
        stem_channels=96,
        width=160,
        groups=40,
    )
    return configured(config, options)
