"""Arrays in BlobProtos, without a Python object for every number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from caffe.proto import caffe_pb2

_DATA = caffe_pb2.BlobProto.DESCRIPTOR.fields_by_name["data"].number
_LENGTH_DELIMITED = 2


def store(layer: Any, *arrays: npt.NDArray[Any]) -> None:
    """Appends arrays to the blobs of a LayerParameter, in single precision."""
    for array in arrays:
        blob = layer.blobs.add()
        blob.shape.dim.extend(array.shape)
        content = np.ascontiguousarray(array, "<f4").tobytes()
        # A packed field is its key, its length and its values as they lie in memory.
        key = _varint(_DATA << 3 | _LENGTH_DELIMITED)
        blob.MergeFromString(key + _varint(len(content)) + content)


def _varint(number: int) -> bytes:
    """Seven bits in each byte, the lowest first; the top bit says that more follow."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
