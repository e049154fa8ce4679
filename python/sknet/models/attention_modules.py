"""ResNeXt with attention modules: BAM and CBAM.

Park, Woo, Lee, Kweon: BAM: Bottleneck Attention Module, BMVC 2018,
https://arxiv.org/abs/1807.06514. Woo, Park, Lee, Kweon: CBAM: Convolutional Block
Attention Module, ECCV 2018, https://arxiv.org/abs/1807.06521.
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
    convolution,
    global_pool,
    inner_product,
)
from sknet.models.registry import configured, register_model
from sknet.models.resnext import DEPTHS_50, DEPTHS_101, Block, ResNeXt

REDUCTION = 16
BAM_DILATION = 4


@dataclass(frozen=True)
class BAM(ResNeXt):
    """One module behind every stage but the last."""

    def after_stage(self, net: NetSpec, last: Block, bottom: Top) -> Top:
        """(1 + sigmoid(channel * spatial)) * x.

        The authors' code multiplies the two maps where their paper adds them; as
        released here. No count depends on it.
        """
        if last.stage == len(self.depths) - 1:
            return bottom
        name, channels = f"bam{last.stage + 2}", last.output
        width = channels // REDUCTION

        pooled = global_pool(net, f"{name}/global_pool", bottom)
        channel = inner_product(net, f"{name}/channel_fc1", pooled, width)
        channel = batch_norm(net, f"{name}/channel_fc1", channel, relu=True)
        channel = inner_product(net, f"{name}/channel_fc2", channel, channels)

        spatial = bottom
        for part, kernel in (("reduce", 1), ("3x3d4_1", 3), ("3x3d4_2", 3)):
            layer = f"{name}/spatial_{part}"
            dilation = BAM_DILATION if kernel > 1 else 1
            spatial = convolution(
                net, layer, spatial, width, kernel, dilation=dilation, bias=True
            )
            spatial = batch_norm(net, layer, spatial, relu=True)
        spatial = convolution(net, f"{name}/spatial", spatial, 1, 1, bias=True)

        net[f"{name}/spatial_tile"] = L.Tile(spatial, axis=1, tiles=channels)
        net[f"{name}/gate"] = L.Scale(
            net[f"{name}/spatial_tile"], channel, axis=0, bias_term=False
        )
        gate = activation(net, f"{name}/sigmoid", net[f"{name}/gate"], "Sigmoid")
        net[f"{name}/scale"] = L.Scale(bottom, gate, axis=0, bias_term=False)
        return add(net, name, net[f"{name}/scale"], bottom, relu=False)


@dataclass(frozen=True)
class CBAM(ResNeXt):
    """One module in every block, before the shortcut is added.

    The maximum over channels is a pooling of the map written as C x HW. Writing the
    result as H x W again needs H, so a definition serves one image size.
    """

    def gate(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """Weighs the channels, then the pixels."""
        return self._weigh_pixels(net, block, self._weigh_channels(net, block, bottom))

    def _weigh_channels(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """One small network sees the means and the maxima of the channels."""
        name = f"{block.name}/channel"
        scores = []
        for kind in ("AVE", "MAX"):
            part = f"{name}_{kind.lower()}"
            top = global_pool(net, f"{part}_pool", bottom, kind=kind)
            for index, width in ((1, block.output // REDUCTION), (2, block.output)):
                fc = f"{part}_fc{index}"
                top = inner_product(net, fc, top, width, shared=f"{name}_fc{index}")
                if index == 1:
                    top = activation(net, f"{fc}/relu", top)
            scores.append(top)
        weights = add(net, f"{name}_gate", *scores, relu=False)
        weights = activation(net, f"{name}_sigmoid", weights, "Sigmoid")
        net[f"{name}_scale"] = L.Scale(bottom, weights, axis=0, bias_term=False)
        return net[f"{name}_scale"]

    def _weigh_pixels(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """A 7x7 convolution sees the maxima and the means of the pixels."""
        name, channels = f"{block.name}/spatial", block.output
        net[f"{name}_flat"] = L.Reshape(bottom, shape={"dim": [0, 1, channels, -1]})
        maps = []
        for kind in ("MAX", "AVE"):
            part = f"{name}_{kind.lower()}"
            net[part] = L.Pooling(
                net[f"{name}_flat"],
                pool=getattr(P.Pooling, kind),
                kernel_h=channels,
                kernel_w=1,
            )
            maps.append(net[part])
        net[f"{name}_concat"] = L.Concat(*maps, axis=1)
        net[f"{name}_maps"] = L.Reshape(
            net[f"{name}_concat"], shape={"dim": [0, 2, block.size, -1]}
        )
        top = convolution(net, f"{name}_7x7", net[f"{name}_maps"], 1, 7)
        # Starts as one half everywhere, as in the authors' code.
        top = batch_norm(net, f"{name}_7x7", top, relu=False, initial_scale=0)
        top = activation(net, f"{name}_sigmoid", top, "Sigmoid")
        net[f"{name}_tile"] = L.Tile(top, axis=1, tiles=channels)
        net[f"{name}_scale"] = L.Scale(
            bottom, net[f"{name}_tile"], axis=0, bias_term=False
        )
        return net[f"{name}_scale"]


@register_model
def resnext50_bam(**options: Any) -> BAM:
    """ResNeXt-50 + BAM: 25.4 M parameters, 4.31 GFLOPs."""
    return configured(BAM("resnext50_bam", depths=DEPTHS_50), options)


@register_model
def resnext101_bam(**options: Any) -> BAM:
    """ResNeXt-101 + BAM: 44.7 M parameters, 8.05 GFLOPs."""
    return configured(BAM("resnext101_bam", depths=DEPTHS_101), options)


@register_model
def resnext50_cbam(**options: Any) -> CBAM:
    """ResNeXt-50 + CBAM: 27.6 M parameters, 4.25 GFLOPs."""
    return configured(CBAM("resnext50_cbam", depths=DEPTHS_50), options)


@register_model
def resnext101_cbam(**options: Any) -> CBAM:
    """ResNeXt-101 + CBAM: 49.0 M parameters, 8.00 GFLOPs."""
    return configured(CBAM("resnext101_cbam", depths=DEPTHS_101), options)
