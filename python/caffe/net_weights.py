"""Stored weights in a net: what fitted, and whether they are numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from caffe import _caffe
from caffe.net_structure import NetStructure


class WeightsReport(NamedTuple):
    """How stored weights and a net fit, by the names of layers.

    Attributes:
        matched: Layers that got weights.
        without_weights: Layers of the net that got none.
        without_layer: Stored layers that the net lacks.
        shapes: Of the stored blobs, by layer.
    """

    matched: list[str]
    without_weights: list[str]
    without_layer: list[str]
    shapes: dict[str, list[tuple[int, ...]]]

    @classmethod
    def of(cls, engine: _caffe.Net) -> WeightsReport:
        """The report on the file that was read last."""
        matched, without_weights, without_layer, shapes = engine.weights_report
        return cls(
            [_text(name) for name in matched],
            [_text(name) for name in without_weights],
            [_text(name) for name in without_layer],
            {_text(name): [tuple(shape) for shape in all_] for name, all_ in shapes},
        )


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def check_finite(net: NetStructure) -> None:
    """What `Net.check_weights` does."""
    damaged = [
        f"layer '{layer}', blob {index}: {bad:,} of {blob.count:,}"
        for layer, blobs in net.params.items()
        for index, blob in enumerate(blobs)
        if (bad := blob.count - int(np.isfinite(blob.data).sum()))
    ]
    if damaged:
        more = f" and {len(damaged) - 3} more blobs" if len(damaged) > 3 else ""
        raise ValueError(
            f"net '{net.name}': values that are NaN or infinite in "
            f"{'; '.join(damaged[:3])}{more}; the weights are damaged, or training "
            "diverged"
        )
