"""GENet: ResNet-50 with gather-excite modules.

Hu, Shen, Albanie, Sun, Vedaldi: Gather-Excite: Exploiting Feature Context in
Convolutional Neural Networks, NeurIPS 2018, https://arxiv.org/abs/1810.12348; names
and order as in the released prototxt files. They use a layer type DepthwiseConvolution,
which is a Convolution with as many groups as channels and has the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.proto import caffe_pb2
from sknet.models.layers import (
    GAUSSIAN,
    activation,
    batch_norm,
    conv_bn,
    convolution,
    global_pool,
)
from sknet.models.registry import Release, configured, register_model
from sknet.models.resnext import DEPTHS_50, Block, ResNeXt

REDUCTION = 16


@dataclass(frozen=True)
class GENet(ResNeXt):
    """Configuration of one network.

    Attributes:
        gather: "mean", the global average, or "convolution", a depthwise one over the
            whole map; its weights serve one image size only.
        excite: Whether two small convolutions follow.
    """

    gather: str = "mean"
    excite: bool = False

    def block(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """A bottleneck with the stride in its first convolution."""
        name = block.name
        reduced = f"{name}/1x1_reduce"
        top = conv_bn(net, reduced, bottom, block.width, 1, stride=block.stride)
        top = conv_bn(net, f"{name}/3x3", top, block.width, 3)
        increased = f"{name}/1x1_increase"
        top = conv_bn(net, increased, top, block.output, 1, relu=False)
        weights = self._weights(net, block, top)
        shortcut = self.shortcut(net, block, bottom)
        net[f"{name}/axpy"] = L.Axpy(weights, top, shortcut)
        return activation(net, f"{name}/relu", net[f"{name}/axpy"])

    def _weights(self, net: NetSpec, block: Block, bottom: Top) -> Top:
        """A weight for every channel, N x C x 1 x 1."""
        name, channels = f"{block.name}/gather", block.output
        if self.gather == "mean":
            top = global_pool(net, name, bottom, engine=True)
        else:
            whole = block.size
            top = convolution(net, name, bottom, channels, whole, pad=0, group=channels)
            top = batch_norm(net, name, top, relu=self.excite)
        if self.excite:
            for part, width in (("down", channels // REDUCTION), ("up", channels)):
                layer = f"{block.name}/excite/1x1_{part}"
                top = convolution(
                    net, layer, top, width, 1, bias=True, weight_filler=GAUSSIAN
                )
                if part == "down":
                    top = activation(net, f"{layer}/relu", top)
        return activation(net, f"{block.name}/excite/sigmoid", top, "Sigmoid")


def _config(name: str, options: dict[str, Any], **fields: Any) -> GENet:
    config = GENet(
        name,
        depths=DEPTHS_50,
        widths=(64, 128, 256, 512),
        outputs=(256, 512, 1024, 2048),
        groups=1,
        final_pool=7,
        **fields,
    )
    return configured(config, options)


def _respell(layer: caffe_pb2.LayerParameter) -> None:
    """GENet's name of the batch norms' field, and its type of depthwise convolution."""
    if layer.type == "CuDNNBatchNorm":
        given = {
            field.name: value for field, value in layer.batch_norm_param.ListFields()
        }
        layer.cudnn_batch_norm_param.CopyFrom(
            caffe_pb2.CuDNNBatchNormParameter(**given)
        )
        layer.ClearField("batch_norm_param")
    elif layer.type == "Convolution" and layer.convolution_param.group > 1:
        layer.type = "DepthwiseConvolution"


def _respell_plus(layer: caffe_pb2.LayerParameter) -> None:
    """As the others, and the last pooling is called as in SENet."""
    _respell(layer)
    if layer.name == "avepool/7x7":
        layer.name = layer.top[0] = "pool5/7x7_s1"
    elif layer.name == "classifier":
        layer.bottom[0] = "pool5/7x7_s1"


@register_model
def genet50_theta_minus(**options: Any) -> GENet:
    """ResNet-50 GE-theta-minus: gathers without parameters; 25.6 M parameters."""
    return _config("ResNet50-GEPF", options, release=Release("training", _respell))


@register_model
def genet50_theta(**options: Any) -> GENet:
    """ResNet-50 GE-theta: gathers by depthwise convolutions; 31.1 M parameters."""
    release = Release("training", _respell)
    return _config("ResNet50-GEP", options, release=release, gather="convolution")


@register_model
def genet50_theta_plus(**options: Any) -> GENet:
    """ResNet-50 GE-theta-plus: GE-theta and two convolutions; 33.7 M parameters."""
    release = Release("training", _respell_plus)
    return _config(
        "ResNet50-GEPP", options, release=release, gather="convolution", excite=True
    )
