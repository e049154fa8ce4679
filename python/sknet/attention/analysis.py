"""Measures the attention of SK units while the objects in the images grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import caffe
from sknet.attention.units import Unit, last_of_stages
from sknet.evaluation.network import Network

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ImageAttention:
    """Of one image, at S scales.

    Attributes:
        crops: What the net saw, S x (3, side, side), before the mean was subtracted.
        label: Its label.
        curve: Weights of the last branch in the curve's unit, (S, channels).
        differences: Mean over the channels of weights of the last minus the first
            branch, (S, units).
    """

    crops: Array = field(repr=False)
    label: int
    curve: Array = field(repr=False)
    differences: Array = field(repr=False)


@dataclass(frozen=True)
class Attention:
    """Of many images, at S scales.

    Attributes:
        units: The units, in the net's order.
        curve_unit: The unit of the curves.
        scales: Factors of enlargement.
        images: The first images, one by one.
        count: Images of each label, (classes,).
        curve: Mean of the images' curves, (S, channels).
        differences: Mean of the images' differences, (S, units).
        class_differences: The same for every label, (S, units, classes); NaN where
            there are no images.
    """

    units: list[Unit]
    curve_unit: Unit
    scales: tuple[float, ...]
    images: list[ImageAttention]
    count: Array
    curve: Array
    differences: Array
    class_differences: Array


def enlarged(crops: Array, factor: float) -> Array:
    """Central parts of crops, resized (bilinear) to the crops' size.

    Args:
        crops: (N, channels, side, side).
        factor: 1 or more; the part has the share 1 / factor of the side.
    """
    side = crops.shape[2]
    part = round(side / factor)
    if part == side:
        return crops
    first = (side - part) // 2
    window = crops[:, :, first : first + part, first : first + part]
    # All planes at once, as the channels of one image.
    planes = window.reshape(-1, part, part).transpose(1, 2, 0)
    resized = caffe.io.resize_image(planes, (side, side))
    result: Array = resized.transpose(2, 0, 1).reshape(crops.shape)
    return result


def curve_unit_of(units: list[Unit]) -> Unit:
    """The unit that the curves show: the last of the second stage, SK_3_4."""
    last = last_of_stages(units)
    return last[min(1, len(last) - 1)]


def analyse(
    network: Network,
    units: list[Unit],
    batches: Iterable[tuple[Array, npt.NDArray[np.int64]]],
    *,
    scales: Sequence[float] = (1.0, 1.5, 2.0),
    images: int = 6,
    unpreprocess: Callable[[Array], Array] = lambda values: values,
    report: Callable[[int], None] | None = None,
) -> Attention:
    """Runs the net on every image at every scale.

    Args:
        network: Its batch holds those of `batches`.
        units: From `sk_units`.
        batches: Crops (N, 3, side, side) with labels (N,), classes of the net.
        scales: Factors, 1 or more.
        images: Keep this many one by one.
        unpreprocess: Takes the net's values back to levels, for `ImageAttention.crops`.
        report: Called with the number of images done.

    Raises:
        ValueError: A scale below 1, or no images.
    """
    if not scales or not all(1 <= scale <= network.side for scale in scales):
        raise ValueError(
            f"scales are {', '.join(map(str, scales)) or 'missing'}, expected numbers "
            "from 1 up; they enlarge the middle of the image"
        )
    curve_unit = curve_unit_of(units)
    kept: list[ImageAttention] = []
    count = np.zeros(network.classes, np.int64)
    sums = np.zeros((len(scales), len(units), network.classes))
    curve_sum: Array = np.zeros(0)
    for crops, labels in batches:
        seen = [enlarged(crops, scale) for scale in scales]
        measured = [_measure(network, units, curve_unit, values) for values in seen]
        curves = np.stack([curve for curve, _ in measured])
        differences = np.stack([difference for _, difference in measured])
        for index in range(min(images - len(kept), len(labels))):
            kept.append(
                ImageAttention(
                    np.stack([unpreprocess(values[index]) for values in seen]),
                    int(labels[index]),
                    curves[:, index],
                    differences[:, index],
                )
            )
        curve_sum = curves.sum(axis=1) + (curve_sum if curve_sum.size else 0)
        count += np.bincount(labels, minlength=network.classes)
        for index, label in enumerate(labels):
            sums[:, :, label] += differences[:, index]
        if report:
            report(int(count.sum()))
    total = int(count.sum())
    if not total:
        raise ValueError("there is no image that can be decoded, expected at least one")
    with np.errstate(invalid="ignore"):
        by_class = sums / count
    return Attention(
        units,
        curve_unit,
        tuple(scales),
        kept,
        count,
        curve_sum / total,
        sums.sum(axis=2) / total,
        by_class,
    )


def _measure(
    network: Network, units: list[Unit], curve_unit: Unit, crops: Array
) -> tuple[Array, Array]:
    """Curve (N, channels) and differences (N, units) in float64."""
    network.forward(crops)

    def weights(blob: str) -> Array:
        values = network.net.blobs[blob].data[: len(crops)]
        return np.asarray(values, np.float64).reshape(len(crops), -1)

    differences = [
        (weights(unit.blobs[-1]) - weights(unit.blobs[0])).mean(axis=1)
        for unit in units
    ]
    return weights(curve_unit.blobs[-1]), np.stack(differences, axis=1)
