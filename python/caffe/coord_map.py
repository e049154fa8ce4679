"""Where a pixel of one blob lies in another: alignment of crops in dense nets.

A coordinate map is (axis, a, b): on the axes behind `axis`, coordinate x of a layer's
input is at a x + b in its output. A convolution has a = 1 / stride. Maps compose along
paths of the net, and `crop` aligns two blobs with a common ancestor, as fully
convolutional nets need it (Long, Shelhamer, Darrell, CVPR 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from caffe.net_spec import CONVOLUTIONS, Function, Top
from caffe.net_spec import layers as L

# Layers that keep every coordinate.
PASS_THROUGH_LAYERS = frozenset(
    {
        "AbsVal", "Axpy", "BatchNorm", "Bias", "BNLL", "Clip", "CuDNNBatchNorm",
        "Dropout", "ELU", "Eltwise", "Exp", "LRN", "Log", "MVN", "PReLU", "Power",
        "ReLU", "Scale", "Sigmoid", "Softmax", "Split", "Swish", "TanH", "Threshold",
    }
)  # fmt: skip

Coefficients = npt.NDArray[np.float64]


class CoordMap(NamedTuple):
    """x -> a x + b on the axes behind `axis`; None: any, all coordinates are kept."""

    axis: int | None
    a: Coefficients
    b: Coefficients


class UndefinedMapException(Exception):  # noqa: N818
    """The layer has no coordinate map."""


class AxisMismatchException(Exception):  # noqa: N818
    """Two maps start at different axes."""


def _values(params: Mapping[str, Any], name: str, default: int | None) -> Coefficients:
    """One value, or one per axis, of a spatial parameter."""
    if f"{name}_h" in params or f"{name}_w" in params:
        return np.array([params[f"{name}_h"], params[f"{name}_w"]], dtype=float)
    long_name = {"kernel": "kernel_size"}.get(name, name)
    if long_name not in params and default is None:
        raise UndefinedMapException(f"{long_name} is not given")
    return np.atleast_1d(np.array(params.get(long_name, default), dtype=float))


def conv_params(
    fn: Function,
) -> tuple[int, Coefficients, Coefficients, Coefficients]:
    """Channel axis, stride, dilated kernel extent and pad of a window layer."""
    params = fn.params.get("convolution_param", fn.params.get("pooling_param"))
    params = fn.params if params is None else params
    axis = params.get("axis", 1)
    extent = (_values(params, "kernel", None) - 1) * _values(params, "dilation", 1) + 1
    return axis, _values(params, "stride", 1), extent, _values(params, "pad", 0)


def crop_params(fn: Function) -> tuple[int, Coefficients]:
    """First cropped axis and offsets of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    offset = np.atleast_1d(np.array(params.get("offset", 0), dtype=float))
    return params.get("axis", 2), offset


def coord_map(fn: Function) -> CoordMap:
    """The map of one layer, from its input to its output.

    Raises:
        UndefinedMapException: The type has none, or its parameters do not define it.
    """
    if fn.type_name in (*CONVOLUTIONS, "Pooling", "Im2col"):
        axis, stride, extent, pad = conv_params(fn)
        return CoordMap(axis, 1 / stride, (pad - (extent - 1) / 2) / stride)
    if fn.type_name == "Deconvolution":
        axis, stride, extent, pad = conv_params(fn)
        return CoordMap(axis, stride, (extent - 1) / 2 - pad)
    if fn.type_name in PASS_THROUGH_LAYERS:
        return identity()
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        # `axis` is the first one cropped; the map names the one before it.
        return CoordMap(axis - 1, np.ones(1), -offset)
    raise UndefinedMapException(f"{fn.type_name} has no coordinate map")


def identity() -> CoordMap:
    """The map that keeps every coordinate."""
    return CoordMap(None, np.ones(1), np.zeros(1))


def compose(base: CoordMap, then: CoordMap) -> CoordMap:
    """The map that applies `then` and after it `base`."""
    if base.axis is None:
        axis = then.axis
    elif then.axis is None or base.axis == then.axis:
        axis = base.axis
    else:
        raise AxisMismatchException(
            f"maps from axes {base.axis} and {then.axis} on cannot be composed"
        )
    return CoordMap(axis, base.a * then.a, base.a * then.b + base.b)


def inverse(map_: CoordMap) -> CoordMap:
    """The map in the other direction."""
    return CoordMap(map_.axis, 1 / map_.a, -map_.b / map_.a)


def _maps_to(top: Top) -> dict[Top, CoordMap]:
    """Maps to `top` from every blob it depends on through layers that have maps.

    The nearest blobs come first.
    """
    maps = {top: identity()}
    for here in (queue := [top]):
        # The second bottom of a Crop only gives a size.
        bottoms = here.fn.inputs[: 1 if here.fn.type_name == "Crop" else None]
        try:
            steps = [coord_map(here.fn) for _ in bottoms]
        except UndefinedMapException:
            continue
        for bottom, step in zip(bottoms, steps, strict=True):
            if bottom not in maps:
                maps[bottom] = compose(maps[here], step)
                queue.append(bottom)
    return maps


def coord_map_from_to(top_from: Top, top_to: Top) -> CoordMap:
    """The map from one blob to another that has a common ancestor with it.

    Raises:
        RuntimeError: No path of layers with maps connects them.
    """
    from_maps = _maps_to(top_from)
    for top, to_map in _maps_to(top_to).items():
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise RuntimeError(
        f"coord_map: no path of spatial layers connects the {top_from.fn.type_name} "
        f"and the {top_to.fn.type_name}"
    )


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts `top_from` to the pixels that `top_to` covers.

    Raises:
        AssertionError: The blobs differ in scale, or the offset is negative or
            fractional.
    """
    axis, a, b = coord_map_from_to(top_from, top_to)
    if (a != 1).any():
        raise AssertionError(
            f"scale mismatch on crop: the scales differ by {a}, expected 1; resample "
            "first"
        )
    if (b > 0).any():
        raise AssertionError(f"cannot crop: offset {-b} is negative; pad more")
    if (b != np.round(b)).any():
        raise AssertionError(
            f"cannot crop: offset {-b} is not a whole number of pixels"
        )
    offset = [int(-value) for value in b]
    top: Top = L.Crop(
        top_from,
        top_to,
        crop_param={"axis": 2 if axis is None else axis + 1, "offset": offset},
    )
    return top
