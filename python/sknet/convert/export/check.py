"""Holds an exported model against the engine, layer by layer, in ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

import caffe
from caffe.extras import missing
from caffe.files import temporary_folder
from sknet.convert.export.graph import BlobValue, Graph

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BlobDifference:
    """How far two results are apart.

    Attributes:
        layer: Name of the layer.
        type: Its type.
        blob: The blob it wrote.
        difference: Largest absolute difference of an element; inf where only one of
            the two is NaN or infinite.
        largest: Largest absolute value that the engine has there, infinities aside.
        deviation: The differences' root mean square as a share of the values'.
        sensitivity: In the results of the whole net, the deviation that errors of the
            size of rounding make in the engine alone; inf if the net has values that
            are no finite numbers.
    """

    layer: str
    type: str
    blob: str
    difference: float
    largest: float
    deviation: float
    sensitivity: float = 0.0

    @property
    def relative(self) -> float:
        """The difference as a share of the largest value."""
        return self.difference / self.largest if self.largest else self.difference


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        layers: One entry for each blob that a layer wrote, both given the same inputs
            of that layer, so that rounding does not add up from layer to layer. Of
            several inputs, the one with the largest relative difference.
        outputs: The results of the whole net, one entry each.
    """

    layers: list[BlobDifference]
    outputs: list[BlobDifference]


def _zeros(values: Array) -> Array:
    """All of them tie."""
    return np.zeros_like(values)


def _as_they_are(values: Array) -> Array:
    return values


def _few_levels(values: Array) -> Array:
    """Rounded to few levels, so that many tie, with planes of 0 and negative ones."""
    step = float(np.abs(values).max(initial=0.0)) / 2 or 1.0
    levels = np.asarray(np.rint(values / np.float32(step)) * np.float32(step))
    planes = levels.reshape(math.prod(levels.shape[:2]), -1)
    planes[::4] = 0
    planes[1::4] = -step - np.abs(planes[1::4])
    return levels


def _large(values: Array) -> Array:
    return _scaled(values, 1000)


def _scaled(values: Array, factor: float) -> Array:
    scaled: Array = values * np.float32(factor)
    return scaled


# What each layer is given, made of the values that it has in the net. Zeros are first:
# what a layer makes of them is the least that its differences are measured by.
_VARIANTS: tuple[Callable[[Array], Array], ...] = (
    _zeros,
    _as_they_are,
    _few_levels,
    _large,
)

# Values that a layer is given stay below: their squares and sums are finite.
_LIMIT = 1e9
# A sum of n products in another order is off by about sqrt(n) units in the last place,
# 2^-23 of its terms; 2^-20 stands for 64.
_ROUNDING = 2.0**-20
# One draw may miss what flips between two results.
_DRAWS = 3


def compare(net: caffe.Net, graph: Graph, inputs: Mapping[str, Array]) -> Comparison:
    """Runs both on the same inputs.

    The whole net runs on `inputs`, in place of what data layers read. Every layer runs
    on its values in that run, and on others made of them: zeros, few levels with planes
    of zeros and negative ones, and a thousand times as much.

    Args:
        net: The net that was exported.
        graph: What `export_onnx` returned.
        inputs: Arrays for the inputs of the graph, by name.

    Raises:
        ImportError: The package onnxruntime is missing.
    """
    given = _placed(
        graph, {tensor.name: inputs[tensor.name] for tensor in graph.inputs}
    )
    final = _runtime(graph, net.name)(given)
    values = _forward(net, graph, given)
    by_name = {value.tensor.name: value for value in graph.blobs}
    outputs = []
    for name, result in final.items():
        entry = _difference(by_name[name], result, values[name])
        outputs.append(replace(entry, sensitivity=math.inf))
    if all(np.isfinite(array).all() for array in values.values()):
        shaken = [_shaken(net, graph, given, draw) for draw in range(_DRAWS)]
        for index, (name, entry) in enumerate(zip(final, outputs, strict=True)):
            alone = [_difference(by_name[name], s[name], values[name]) for s in shaken]
            worst_alone = max(difference.deviation for difference in alone)
            outputs[index] = replace(entry, sensitivity=worst_alone)
    # Without what nobody reads: it is as much memory as the net has.
    apart, names = graph.apart()
    values = {
        name: _within(array, _LIMIT)
        for name, array in (*given.items(), *((name, values[name]) for name in names))
    }
    run = _runtime(apart, net.name)
    worst: dict[str, BlobDifference] = {}
    least: dict[str, float] = {}
    for variant in _VARIANTS:
        own = {
            name: _within(variant(array), graph.limits.get(name, math.inf))
            for name, array in values.items()
        }
        own = _placed(graph, own)
        got = run({names.get(name, name): array for name, array in own.items()})
        want = _forward(net, graph, own)
        for value in graph.blobs:
            name = value.tensor.name
            floor = least.get(name, 0.0)
            entry = _difference(value, got[name], want[name], floor)
            least.setdefault(name, entry.largest)
            worst[name] = max(
                worst.get(name, entry), entry, key=lambda e: (e.relative, e.largest)
            )
    return Comparison(list(worst.values()), outputs)


def _runtime(
    graph: Graph, name: str
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """ONNX Runtime with a graph, as a function from its inputs to its outputs."""
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(
            missing("onnxruntime", "checking an exported model", "onnx")
            + ", or leave the check out with --no-check"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with temporary_folder() as folder:
        file = folder / "model.onnx"
        graph.save(file, name)
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
    names = [tensor.name for tensor in graph.outputs]

    def run(given: Mapping[str, Array]) -> dict[str, Array]:
        results: list[Any] = session.run(names, dict(given))
        return dict(zip(names, results, strict=True))

    return run


def _forward(
    net: caffe.Net, graph: Graph, given: Mapping[str, Array]
) -> dict[str, Array]:
    """The engine's results, by their names in the graph.

    Data layers do not run. Where `given` has a value of the net, those layers that read
    it get that.
    """
    written: dict[str, list[BlobValue]] = {}
    for value in graph.blobs:
        written.setdefault(value.layer, []).append(value)
    for tensor in graph.inputs:
        net.blobs[tensor.name].data[...] = given[tensor.name]
    results = {}
    for index, layer in enumerate(net.top_names):
        if layer not in graph.layers:
            continue
        net._forward(index, index)
        for value in written.get(layer, ()):
            name = value.tensor.name
            results[name] = net.blobs[value.blob].data.copy()
            if name in given:
                net.blobs[value.blob].data[...] = given[name]
    return results


def _shaken(
    net: caffe.Net, graph: Graph, given: Mapping[str, Array], draw: int
) -> dict[str, Array]:
    """The engine's results with its inputs and weights a little off.

    How far that carries tells how far rounding does, whose errors are of that size in
    every layer: an untrained net may make anything of them.
    """
    random = np.random.default_rng(draw)

    def off(values: Array) -> Array:
        errors = random.standard_normal(values.shape, dtype=np.float32)
        changed: Array = values + values * (errors * np.float32(_ROUNDING))
        return changed

    learned = [blob for blobs in net.params.values() for blob in blobs]
    kept = [blob.data.copy() for blob in learned]
    try:
        for blob, values in zip(learned, kept, strict=True):
            blob.data[...] = off(values)
        near = {name: off(array) for name, array in given.items()}
        return _forward(net, graph, _placed(graph, near))
    finally:
        for blob, values in zip(learned, kept, strict=True):
            blob.data[...] = values


def _placed(graph: Graph, values: dict[str, Array]) -> dict[str, Array]:
    """With whole numbers from 0 on where the net takes them as indices."""
    for name in values.keys() & graph.places.keys():
        last = graph.places[name] - 1
        values[name] = np.minimum(np.rint(np.abs(values[name])), np.float32(last))
    return values


def _within(values: Array, limit: float) -> Array:
    """Finite values of at most that size: what is no number has no right result."""
    finite = np.isfinite(values)
    if not finite.all():
        bound = float(np.abs(values[finite]).max(initial=0.0)) or 1.0
        values = np.nan_to_num(values, posinf=bound, neginf=-bound)
    largest = float(np.abs(values).max(initial=0.0))
    return _scaled(values, limit / largest) if largest > limit else values


def _difference(
    value: BlobValue, got: Array, want: Array, floor: float = 0.0
) -> BlobDifference:
    """`floor` is the least to name as the largest value."""
    finite = np.isfinite(want)
    size = np.where(finite, want, 0).astype(np.float64)
    worst = deviation = math.inf
    if got.shape == want.shape:
        # Infinities and NaN must be met exactly; their differences would be NaN.
        exact = (got == want) | (np.isnan(got) & np.isnan(want))
        with np.errstate(invalid="ignore"):
            difference = np.where(exact, 0.0, np.abs(got.astype(np.float64) - want))
        difference[np.isnan(difference)] = math.inf
        worst = float(difference.max(initial=0.0))
        norm = float(np.linalg.norm(size))
        deviation = float(np.linalg.norm(difference)) / (norm or 1.0)
    largest = max(float(np.abs(size).max(initial=0.0)), floor)
    return BlobDifference(
        value.layer, value.type, value.blob, worst, largest, deviation
    )
