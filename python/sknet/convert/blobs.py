"""Arrays as the blobs of stored layers."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from caffe.io import array_to_blobproto


def store(layer: Any, *arrays: npt.NDArray[Any]) -> None:
    """Appends arrays to the blobs of a LayerParameter, in single precision."""
    layer.blobs.extend(array_to_blobproto(array) for array in arrays)
