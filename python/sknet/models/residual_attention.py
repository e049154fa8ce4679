"""Residual Attention Networks: Attention-56 and -92, AttentionNeXt-56 and -92.

Wang, Jiang, Qian, Yang, Li, Zhang, Wang, Tang: Residual Attention Network for Image
Classification, CVPR 2017, https://arxiv.org/abs/1704.06904. The structure is that of
the authors' prototxt files (p = 1, t = 2, r = 1), the names are not; their one-layer BN
is CuDNNBatchNorm here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.net_spec import params as P
from sknet.models.layers import (
    activation,
    add,
    batch_norm,
    classifier,
    conv_bn,
    convolution,
    global_pool,
    max_pool,
)
from sknet.models.registry import Model, configured, register_model

# Stages in front of the last: name of their modules, output channels, and how often the
# masks halve the map.
_STAGES = (("A", 256, 3), ("B", 512, 2), ("C", 1024, 1))
_LAST_CHANNELS = 2048
_LAST_UNITS = 3
_GROUPS = 32


@dataclass(frozen=True)
class ResidualAttention(Model):
    """Configuration of one network.

    Attributes:
        modules: Attention modules of stages A, B and C.
        resnext: Residual units of ResNeXt (activation behind, 32 groups) instead of
            units with activation in front.
    """

    modules: tuple[int, int, int] = (1, 1, 1)
    resnext: bool = False

    def __post_init__(self) -> None:
        """Rejects configurations that no net can have."""
        super().__post_init__()
        if len(self.modules) != len(_STAGES) or min(self.modules) < 0:
            raise ValueError(
                f"{self.name}: modules is {self.modules}, expected three numbers >= 0"
            )

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Stem, three stages of attention modules, one of units, classifier."""
        top = conv_bn(net, "conv1/7x7_s2", data, 64, 7, stride=2)
        # Without padding: Caffe rounds the output size up, 112 -> 56.
        top = max_pool(net, "pool1/3x3_s2", top, 3, 2)
        previous = 64
        for index, (stage, channels, levels) in enumerate(_STAGES):
            top = self._unit(
                net,
                f"pre_res_{index + 1}",
                top,
                channels,
                stride=2 if index else 1,
                project=channels != previous,
            )
            for module in range(self.modules[index]):
                name = f"attention_{stage}{module + 1}"
                top = self._module(net, name, top, channels, levels)
            previous = channels
        for index in range(_LAST_UNITS):
            top = self._unit(
                net,
                f"post_res_4_{index + 1}",
                top,
                _LAST_CHANNELS,
                stride=1 if index else 2,
                project=index == 0,
            )
        if not self.resnext:
            top = batch_norm(net, "post_res_4", top, relu=True)
        top = global_pool(net, "ave_pool", top)
        return classifier(net, top, self.classes)

    def _unit(
        self,
        net: NetSpec,
        name: str,
        bottom: Top,
        channels: int,
        *,
        stride: int = 1,
        project: bool = False,
    ) -> Top:
        """A residual unit: 1x1, 3x3 with the stride, 1x1, and the shortcut."""
        if self.resnext:
            width = channels // 2
            top = conv_bn(net, f"{name}/1x1_reduce", bottom, width, 1)
            top = conv_bn(
                net, f"{name}/3x3g32", top, width, 3, stride=stride, group=_GROUPS
            )
            top = conv_bn(net, f"{name}/1x1_increase", top, channels, 1, relu=False)
            shortcut = bottom
            if project:
                proj = f"{name}/1x1_proj"
                shortcut = conv_bn(
                    net, proj, bottom, channels, 1, stride=stride, relu=False
                )
            return add(net, name, top, shortcut)
        width = channels // 4
        active = batch_norm(net, f"{name}/pre", bottom, relu=True)
        top = conv_bn(net, f"{name}/1x1_reduce", active, width, 1)
        top = conv_bn(net, f"{name}/3x3", top, width, 3, stride=stride)
        top = convolution(net, f"{name}/1x1_increase", top, channels, 1)
        shortcut = bottom
        if project:
            # Of the activated input; the identity is that of the raw one.
            proj = f"{name}/1x1_proj"
            shortcut = convolution(net, proj, active, channels, 1, stride=stride)
        return add(net, name, top, shortcut, relu=False)

    def _module(
        self, net: NetSpec, name: str, bottom: Top, channels: int, levels: int
    ) -> Top:
        """Trunk and mask: (1 + sigmoid(mask)) * trunk between two units."""
        first = self._unit(net, f"{name}/trunk/res1", bottom, channels)
        trunk = first
        for index in (2, 3):
            trunk = self._unit(net, f"{name}/trunk/res{index}", trunk, channels)
        mask = self._mask(net, f"{name}/mask", first, trunk, channels, levels)
        net[f"{name}/prod"] = L.Eltwise(trunk, mask, operation=P.Eltwise.PROD)
        fusion = add(net, f"{name}/fusion", net[f"{name}/prod"], trunk, relu=False)
        return self._unit(net, f"{name}/out", fusion, channels)

    def _mask(
        self,
        net: NetSpec,
        name: str,
        bottom: Top,
        trunk: Top,
        channels: int,
        levels: int,
    ) -> Top:
        """An hourglass: halves the map `levels` times and returns, with skip units."""
        top = bottom
        descended = []
        for level in range(1, levels + 1):
            top = max_pool(net, f"{name}/down{level}/pool", top, 3, 2)
            top = self._unit(net, f"{name}/down{level}/res1", top, channels)
            descended.append(top)
        top = self._unit(net, f"{name}/down{levels}/res2", top, channels)
        for level in range(levels - 1, 0, -1):
            skip = descended[level - 1]
            resized = self._resize(net, f"{name}/up{level}/interp", top, skip)
            skip = self._unit(net, f"{name}/skip{level}", skip, channels)
            total = add(net, f"{name}/up{level}/sum", skip, resized, relu=False)
            top = self._unit(net, f"{name}/up{level}/res1", total, channels)
        top = self._resize(net, f"{name}/interp", top, trunk)
        if not self.resnext:
            top = batch_norm(net, f"{name}/interp", top, relu=True)
        top = conv_bn(net, f"{name}/linear_1", top, channels, 1)
        top = convolution(net, f"{name}/linear_2", top, channels, 1)
        return activation(net, f"{name}/sigmoid", top, "Sigmoid")

    @staticmethod
    def _resize(net: NetSpec, name: str, bottom: Top, like: Top) -> Top:
        """Bilinear, to the size of `like`."""
        net[name] = L.Interp(bottom, like)
        return net[name]


@register_model
def attention56(**options: Any) -> ResidualAttention:
    """Attention-56: 31.9 M parameters, 6.27 GFLOPs."""
    return configured(ResidualAttention("attention56"), options)


@register_model
def attention92(**options: Any) -> ResidualAttention:
    """Attention-92: 52.5 M parameters, 10.53 GFLOPs."""
    return configured(ResidualAttention("attention92", modules=(1, 2, 3)), options)


@register_model
def attentionnext56(**options: Any) -> ResidualAttention:
    """AttentionNeXt-56, of ResNeXt units: 31.3 M parameters, 6.42 GFLOPs."""
    return configured(ResidualAttention("attentionnext56", resnext=True), options)


@register_model
def attentionnext92(**options: Any) -> ResidualAttention:
    """AttentionNeXt-92, of ResNeXt units: 52.1 M parameters, 10.70 GFLOPs."""
    config = ResidualAttention("attentionnext92", modules=(1, 2, 3), resnext=True)
    return configured(config, options)
