"""Users' arrays for a net: into its blobs, and cut into batches of its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe.net_structure import NetStructure

Array = npt.NDArray[Any]


def fill(
    net: NetStructure, values: Mapping[str, Array], names: list[str], part: str
) -> None:
    """Copies arrays into the data or diff of the blobs, which must be `names`."""
    if set(values) != set(names):
        raise ValueError(
            f"net '{net.name}': got arrays for {_listed(values)}, expected them "
            f"for {_listed(names)}"
        )
    for name, value in values.items():
        target = getattr(net.blobs[name], part)
        shape = np.shape(value)
        if shape[:1] != target.shape[:1] or not _stretches(shape, target.shape):
            raise ValueError(
                f"net '{net.name}', blob '{name}': array has shape {shape}, "
                f"expected {target.shape}{_cure(net, name, shape)}"
            )
        target[...] = value


def _cure(net: NetStructure, name: str, shape: tuple[int, ...]) -> str:
    """What makes an array of the wrong shape fit, as the end of a sentence."""
    expected = net.blobs[name].shape
    if name not in net.inputs or len(shape) != len(expected) or 0 in shape:
        return ""
    if shape[1:] != expected[1:] and sorted(shape[1:]) == sorted(expected[1:]):
        return "; transpose it, as caffe.io.Transformer does"
    cure = f"; to run this shape, call net.blobs['{name}'].reshape{shape} first"
    if shape[1:] == expected[1:]:
        cure += ", or forward_all(), which takes any number"
    return cure


def batches(
    net: NetStructure, arrays: Mapping[str, Array]
) -> Iterator[dict[str, Array]]:
    """Cuts arrays into batches; the last one is filled up with zeros."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(
            f"net '{net.name}': arrays of lengths {lengths}, expected one length "
            "and at least one array"
        )
    (total,) = set(lengths.values())
    shapes = {name: net.blobs[name].shape for name in arrays if name in net.blobs}
    sizes = {shape[:1] for shape in shapes.values()} or {(1,)}
    if len(sizes) > 1 or sizes == {()}:
        raise ValueError(
            f"net '{net.name}': blobs have shapes {shapes}, expected one batch size "
            "to cut the arrays by; run batch by batch with forward() and backward()"
        )
    ((size,),) = sizes
    for begin in range(0, total, size):
        batch = {}
        for name, array in arrays.items():
            part = np.asarray(array[begin : begin + size])
            if len(part) < size:
                padding = np.zeros((size - len(part), *part.shape[1:]), part.dtype)
                part = np.concatenate([part, padding])
            batch[name] = part
        yield batch


def joined(
    batches: Mapping[str, list[Array]], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """What `batches` of `inputs` gave, in one array by name, without the filling."""
    total = len(next(iter(inputs.values())))
    return {
        name: np.concatenate(parts)[:total] if parts[0].ndim else np.stack(parts)
        for name, parts in batches.items()
    }


def _stretches(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether NumPy repeats an array of this shape to fill the target."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "no blob"
