"""Layers that every family shares, with the names and fillers of the releases."""

from __future__ import annotations

from typing import Any

from caffe.net_spec import NetSpec, Top
from caffe.net_spec import layers as L

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
    kernel_size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    group: int = 1,
    weight_filler: dict[str, Any] = MSRA,
) -> Top:
    """A convolution without bias that keeps the size but for its stride."""
    geometry = {"kernel_size": kernel_size, "stride": stride}
    if pad := dilation * (kernel_size - 1) // 2:
        geometry["pad"] = pad
    if group > 1:
        geometry["group"] = group
    if dilation > 1:
        geometry["dilation"] = dilation
    net[name] = L.Convolution(
        bottom,
        num_output=num_output,
        bias_term=False,
        weight_filler=weight_filler,
        param=[rates(1, 1)],
        **geometry,
    )
    return net[name]


def batch_norm(net: NetSpec, name: str, bottom: Top, *, relu: bool) -> Top:
    """`<name>/bn`, and with `relu` an in-place `<name>/relu` on it."""
    net[f"{name}/bn"] = L.CuDNNBatchNorm(
        bottom,
        batch_norm_param={
            "frozen": False,
            "momentum": BATCH_NORM_MOMENTUM,
            "scale_filler": constant(1),
            "bias_filler": constant(0),
        },
        # Scale and bias carry no weight decay; mean and variance are not learned.
        param=[rates(1, 0), rates(1, 0), rates(0, 0), rates(0, 0)],
    )
    if relu:
        net[f"{name}/relu"] = L.ReLU(net[f"{name}/bn"], in_place=True)
        return net[f"{name}/relu"]
    return net[f"{name}/bn"]


def classifier(net: NetSpec, name: str, bottom: Top, classes: int) -> Top:
    """The fully connected layer; its bias learns twice as fast, without decay."""
    net[name] = L.InnerProduct(
        bottom,
        num_output=classes,
        weight_filler=GAUSSIAN,
        bias_filler=constant(0),
        param=[rates(1, 1), rates(2, 0)],
    )
    return net[name]
