"""SE-BN-Inception: squeeze-and-excitation in the batch-normalised GoogLeNet.

Hu, Shen, Sun: Squeeze-and-Excitation Networks, https://arxiv.org/abs/1709.01507;
Ioffe, Szegedy: Batch Normalization, https://arxiv.org/abs/1502.03167. Names and sizes
are those of the released deploy file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.proto import caffe_pb2
from sknet.models.layers import average_pool, max_pool
from sknet.models.registry import Model, Release, configured, register_model
from sknet.models.senet import conv_norm, excitation, head


@dataclass(frozen=True)
class Inception:
    """Channels of one module; without `direct` and `projection` it has stride 2.

    Attributes:
        name: 3a, 3b, ...
        direct: Of the 1x1 branch.
        single: Reduction and 3x3 of the second branch.
        double: Reduction and both 3x3 of the third.
        projection: Behind the pooling of the fourth branch.
        pool: Kind of that pooling.
    """

    name: str
    direct: int
    single: tuple[int, int]
    double: tuple[int, int]
    projection: int
    pool: str = "AVE"


_MODULES = (
    Inception("3a", 64, (64, 64), (64, 96), 32),
    Inception("3b", 64, (64, 96), (64, 96), 64),
    Inception("3c", 0, (128, 160), (64, 96), 0, "MAX"),
    Inception("4a", 224, (64, 96), (96, 128), 128),
    Inception("4b", 192, (96, 128), (96, 128), 128),
    Inception("4c", 160, (128, 160), (128, 160), 128),
    Inception("4d", 96, (128, 192), (160, 192), 128),
    Inception("4e", 0, (128, 192), (192, 256), 0, "MAX"),
    Inception("5a", 352, (192, 320), (160, 224), 128),
    Inception("5b", 352, (192, 320), (192, 224), 128, "MAX"),
)


@dataclass(frozen=True)
class SEInception(Model):
    """Configuration of the network.

    Attributes:
        final_pool: Kernel of the last average pooling; 0 averages the whole map and so
            takes images of every size.
    """

    final_pool: int = 7

    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Two convolutional stages, ten modules, average pooling and classifier."""
        top = conv_norm(
            net, "conv1/7x7_s2", data, 64, 7, stride=2, relu="conv1/relu_7x7"
        )
        top = max_pool(net, "pool1/3x3_s2", top, 3, 2)
        for name, channels, kernel in (("3x3_reduce", 64, 1), ("3x3", 192, 3)):
            relu = f"conv2/relu_{name}"
            top = conv_norm(net, f"conv2/{name}", top, channels, kernel, relu=relu)
        top = max_pool(net, "pool2/3x3_s2", top, 3, 2)
        channels = 192
        for module in _MODULES:
            # Without a projection the pooling hands all of its channels on.
            kept = module.projection or channels
            channels = module.direct + module.single[1] + module.double[1] + kept
            top = self._module(net, module, top, channels)
        return head(net, top, self.classes, self.final_pool)

    def _module(
        self, net: NetSpec, module: Inception, bottom: Top, channels: int
    ) -> Top:
        name = f"inception_{module.name}"

        def conv(part: str, bottom: Top, num_output: int, kernel: int, **k: int) -> Top:
            relu = f"{name}/relu_{part}"
            return conv_norm(
                net, f"{name}/{part}", bottom, num_output, kernel, relu=relu, **k
            )

        stride = 1 if module.direct else 2
        tops = [conv("1x1", bottom, module.direct, 1)] if module.direct else []
        top = conv("3x3_reduce", bottom, module.single[0], 1)
        tops.append(conv("3x3", top, module.single[1], 3, stride=stride))
        top = conv("double3x3_reduce", bottom, module.double[0], 1)
        top = conv("double3x3a", top, module.double[1], 3)
        tops.append(conv("double3x3b", top, module.double[1], 3, stride=stride))
        if module.direct:
            pool = max_pool if module.pool == "MAX" else average_pool
            pooled = pool(net, f"{name}/pool", bottom, 3, 1, 1)
            tops.append(conv("pool_proj", pooled, module.projection, 1))
        else:
            tops.append(max_pool(net, f"{name}/pool/3x3_s2", bottom, 3, 2))
        net[f"{name}/concat"] = L.Concat(*tops)
        weights = excitation(net, name, net[f"{name}/concat"], channels)
        net[f"{name}_prob_reshape"] = L.Reshape(weights, shape={"dim": [0, 0]})
        net[f"{name}/output"] = L.Scale(
            net[f"{name}/concat"],
            net[f"{name}_prob_reshape"],
            name=f"{name}_scale",
            axis=0,
            bias_term=False,
        )
        return net[f"{name}/output"]


def _respell(layer: caffe_pb2.LayerParameter) -> None:
    """The file leaves stride 1 unsaid, but in the convolutions of the excitation."""
    if layer.type == "Convolution":
        param = layer.convolution_param
        if param.stride == [1] and not param.bias_term:
            param.ClearField("stride")


@register_model
def se_bn_inception(**options: Any) -> SEInception:
    """SE-BN-Inception: 12.0 M parameters, 2.04 GFLOPs."""
    release = Release("deploy", _respell)
    return configured(SEInception("SE-BN-Inception", release=release), options)
