"""Layers that every family shares, with the names and fillers of the releases."""

from __future__ import annotations

from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L
from caffe.net_spec import params as P

MSRA: dict[str, Any] = {"type": "msra"}
GAUSSIAN: dict[str, Any] = {"type": "gaussian", "std": 0.01}
# Share of the past in the running statistics of the released files.
BATCH_NORM_MOMENTUM = 0.95


def constant(value: float) -> dict[str, Any]:
    """A filler that sets every element to `value`."""
    return {"type": "constant", "value": value}


def rates(lr_mult: float, decay_mult: float) -> dict[str, float]:
    """Multipliers of learning rate and weight decay of one blob."""
    return {"lr_mult": lr_mult, "decay_mult": decay_mult}


def convolution(
    net: NetSpec,
    name: str,
    bottom: Top,
    num_output: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    pad: int | None = None,
    dilation: int = 1,
    group: int = 1,
    bias: bool = False,
    weight_filler: dict[str, Any] = MSRA,
) -> Top:
    """A convolution; by default without bias, and keeping the size but for its stride.

    Args:
        net: Where it is added.
        name: Of the layer and its top.
        bottom: N x C x H x W.
        num_output: Output channels.
        kernel: Side of the kernel, or (height, width).
        stride: Of both axes.
        pad: Zeros around the image; by default half of the dilated kernel.
        dilation: Distance of the kernel's elements.
        group: Groups that the channels are split into.
        bias: Whether to add one; it learns twice as fast, without decay.
        weight_filler: Initial weights.
    """
    geometry: dict[str, Any] = {"stride": stride}
    if isinstance(kernel, int):
        geometry["kernel_size"] = kernel
        if around := dilation * (kernel - 1) // 2 if pad is None else pad:
            geometry["pad"] = around
    else:
        for axis, size in zip("hw", kernel, strict=True):
            geometry[f"kernel_{axis}"] = size
            geometry[f"pad_{axis}"] = size // 2 if pad is None else pad
    if group > 1:
        geometry["group"] = group
    if dilation > 1:
        geometry["dilation"] = dilation
    if bias:
        geometry["bias_filler"] = constant(0)
    else:
        geometry["bias_term"] = False
    net[name] = L.Convolution(
        bottom,
        num_output=num_output,
        weight_filler=weight_filler,
        param=[rates(1, 1), rates(2, 0)] if bias else [rates(1, 1)],
        **geometry,
    )
    return net[name]


def batch_norm(
    net: NetSpec,
    name: str,
    bottom: Top,
    *,
    relu: bool,
    in_place: bool = False,
    eps: float | None = None,
    initial_scale: float = 1,
) -> Top:
    """`<name>/bn`, and with `relu` an in-place `<name>/relu` on it.

    `in_place` overwrites `bottom`; `eps` is by default the layer's own, 1e-5.
    """
    param: dict[str, Any] = {
        "frozen": False,
        "momentum": BATCH_NORM_MOMENTUM,
        "scale_filler": constant(initial_scale),
        "bias_filler": constant(0),
    }
    if eps is not None:
        param["eps"] = eps
    net[f"{name}/bn"] = L.CuDNNBatchNorm(
        bottom,
        batch_norm_param=param,
        # Scale and bias carry no weight decay; mean and variance are not learned.
        param=[rates(1, 0), rates(1, 0), rates(0, 0), rates(0, 0)],
        in_place=in_place,
    )
    if not relu:
        return net[f"{name}/bn"]
    return activation(net, f"{name}/relu", net[f"{name}/bn"])


def activation(net: NetSpec, name: str, bottom: Top, kind: str = "ReLU") -> Top:
    """An in-place layer without parameters: ReLU or Sigmoid."""
    net[name] = getattr(L, kind)(bottom, in_place=True)
    return net[name]


def conv_bn(
    net: NetSpec,
    name: str,
    bottom: Top,
    num_output: int,
    kernel: int | tuple[int, int],
    *,
    relu: bool = True,
    eps: float | None = None,
    **geometry: Any,
) -> Top:
    """`convolution` without bias, batch norm, and ReLU unless told otherwise."""
    top = convolution(net, name, bottom, num_output, kernel, **geometry)
    return batch_norm(net, name, top, relu=relu, eps=eps)


def max_pool(
    net: NetSpec, name: str, bottom: Top, kernel: int, stride: int, pad: int = 0
) -> Top:
    """The largest value of every window; the output size is rounded up."""
    around = {"pad": pad} if pad else {}
    net[name] = L.Pooling(
        bottom, pool=P.Pooling.MAX, kernel_size=kernel, stride=stride, **around
    )
    return net[name]


def average_pool(
    net: NetSpec, name: str, bottom: Top, kernel: int, stride: int, pad: int = 0
) -> Top:
    """The mean of every window; the output size is rounded up."""
    around = {"pad": pad} if pad else {}
    net[name] = L.Pooling(
        bottom, pool=P.Pooling.AVE, kernel_size=kernel, stride=stride, **around
    )
    return net[name]


def global_pool(
    net: NetSpec, name: str, bottom: Top, *, engine: bool = False, kind: str = "AVE"
) -> Top:
    """The mean (or with kind MAX the maximum) of the whole map.

    `engine` writes `engine: CAFFE`, as the releases do inside of units: cuDNN was slow.
    """
    chosen = {"engine": P.Pooling.CAFFE} if engine else {}
    net[name] = L.Pooling(bottom, pool=kind, global_pooling=True, **chosen)
    return net[name]


def add(net: NetSpec, name: str, *bottoms: Top, relu: bool = True) -> Top:
    """The sum, and unless told otherwise an in-place `<name>/relu` on it."""
    net[name] = L.Eltwise(*bottoms, operation=P.Eltwise.SUM)
    return activation(net, f"{name}/relu", net[name]) if relu else net[name]


def inner_product(
    net: NetSpec, name: str, bottom: Top, num_output: int, shared: str = ""
) -> Top:
    """A fully connected layer; its bias learns twice as fast, without decay.

    Layers with the same name in `shared` have their parameters in common.
    """
    param: list[dict[str, Any]] = [dict(rates(1, 1)), dict(rates(2, 0))]
    if shared:
        param[0]["name"], param[1]["name"] = f"{shared}_w", f"{shared}_b"
    net[name] = L.InnerProduct(
        bottom,
        num_output=num_output,
        weight_filler=GAUSSIAN,
        bias_filler=constant(0),
        param=param,
    )
    return net[name]


def classifier(net: NetSpec, bottom: Top, classes: int) -> Top:
    """The last layer: class scores."""
    return inner_product(net, "classifier", bottom, classes)
