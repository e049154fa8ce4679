"""The reference tables, and generated layers written in their form."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from sknet.complexity import LayerCost

FOLDER = Path(__file__).parents[1] / "data" / "reference"


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


def filler(message: Any) -> str:
    """`constant(1)`, `gaussian(0.01)` or `msra`; empty without one."""
    if not message.type:
        return ""
    value = {"constant": message.value, "gaussian": message.std}.get(message.type)
    return message.type if value is None else f"{message.type}({value:.6g})"


def as_row(index: int, counted: LayerCost) -> dict[str, str]:
    """One generated layer in the columns of the reference."""
    layer = counted.layer
    row = dict.fromkeys(rows("sknet50_layers.csv")[0], "")
    row.update(
        index=str(index),
        name=layer.name,
        type=layer.type,
        bottoms="|".join(layer.bottom),
        tops="|".join(layer.top),
        lr_mult="|".join(f"{spec.lr_mult:g}" for spec in layer.param),
        decay_mult="|".join(f"{spec.decay_mult:g}" for spec in layer.param),
        out_shape="|".join(
            "x".join(map(str, shape)) or "scalar" for shape in counted.shapes
        ),
        learned_params=str(counted.cost.learned),
        stored_params=str(counted.cost.stored),
        macs=str(counted.cost.macs),
    )
    if columns := _COLUMNS.get(layer.type):
        row.update(columns(layer))
    return row


def _only(values: Any, default: int) -> str:
    assert len(values) <= 1
    return str(values[0] if values else default)


def _convolution(layer: Any) -> dict[str, str]:
    param = layer.convolution_param
    return {
        "num_output": str(param.num_output),
        "kernel": _only(param.kernel_size, 0),
        "stride": _only(param.stride, 1),
        "pad": _only(param.pad, 0),
        "dilation": _only(param.dilation, 1),
        "group": str(param.group),
        "bias": str(int(param.bias_term)),
        "weight_filler": filler(param.weight_filler),
    }


def _batch_norm(layer: Any) -> dict[str, str]:
    param = layer.batch_norm_param
    assert not param.HasField("eps")
    parts = (
        f"frozen={int(param.frozen)}",
        f"momentum={param.momentum:.6g}",
        f"eps={param.eps:g}(default)",
        f"scale={filler(param.scale_filler)}",
        f"bias={filler(param.bias_filler)}",
    )
    return {"extra": ";".join(parts)}


def _pooling(layer: Any) -> dict[str, str]:
    param = layer.pooling_param
    kind = param.PoolMethod.Name(param.pool)
    if param.global_pooling:
        engine = param.Engine.Name(param.engine)
        return {"extra": f"pool={kind};global=1;engine={engine}"}
    return {
        "kernel": str(param.kernel_size),
        "stride": str(param.stride),
        "pad": str(param.pad),
        "extra": f"pool={kind}",
    }


def _inner_product(layer: Any) -> dict[str, str]:
    param = layer.inner_product_param
    return {
        "num_output": str(param.num_output),
        "bias": str(int(param.bias_term)),
        "weight_filler": filler(param.weight_filler),
        "bias_filler": filler(param.bias_filler),
    }


_COLUMNS = {
    "Accuracy": lambda layer: {"extra": f"top_k={layer.accuracy_param.top_k}"},
    "Convolution": _convolution,
    "CuDNNBatchNorm": _batch_norm,
    "Eltwise": lambda layer: {
        "extra": "op="
        + layer.eltwise_param.EltwiseOp.Name(layer.eltwise_param.operation)
    },
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "Reshape": lambda layer: {
        "extra": "shape=" + "x".join(map(str, layer.reshape_param.shape.dim))
    },
    "Scale": lambda layer: {
        "extra": f"axis={layer.scale_param.axis};"
        f"bias_term={int(layer.scale_param.bias_term)}"
    },
    "Slice": lambda layer: {
        "extra": f"axis={layer.slice_param.axis};"
        f"slice_point={'|'.join(map(str, layer.slice_param.slice_point))}"
    },
    "Softmax": lambda layer: {"extra": f"axis={layer.softmax_param.axis}"},
}
