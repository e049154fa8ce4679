"""Measures the kernels of sknet-caffe on a GPU, beside its copy and its products.

Reads one job as JSON from its command line and prints the result as JSON; see
`gpu_peers.py`. Layers stand between convolutions, so that data and gradients lie as
they do inside a net; the GPU's own events tell how long each took. Times are medians.

What a pass moves is counted as the least that it can: operands that are read or
written once, and those of a batch norm in training that are read once more when their
statistics are known. The copy counts what it reads and what it writes.
"""

from __future__ import annotations

import ctypes
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import measurement

import caffe
from caffe import layers as L

BYTES = {"float32": 4, "tf32": 4, "bf16": 2, "fp16": 2}
DEVICE_TO_DEVICE = 3


@dataclass(frozen=True)
class Kernel:
    """A layer, or several that run as one, and the tensors that a pass must move.

    Attributes:
        name: Of the row.
        operands: How many tensors of the shape it takes.
        forward: Tensors that the forward pass moves.
        backward: The same of the backward pass.
        elementwise: Whether results have the shape, too.
    """

    name: str
    operands: int
    forward: int
    backward: int
    elementwise: bool = True


KERNELS = (
    Kernel("batch norm and ReLU", 1, forward=3, backward=5),
    Kernel("sum and ReLU", 2, forward=3, backward=3),
    Kernel("Axpy", 2, forward=3, backward=4),
    Kernel("ReLU", 1, forward=2, backward=3),
    Kernel("global average", 1, forward=1, backward=1, elementwise=False),
)


def net_of(kernel: Kernel, shape: Sequence[int], precision: str) -> caffe.Net:
    """The kernel's layers, called `kernel` the first, between convolutions."""
    batch, channels, height, width = shape
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={"dim": [batch, 16, height, width]})
    for index in range(kernel.operands):
        spec[f"x{index}"] = _pointwise(spec.data, channels)
    if kernel.name == "batch norm and ReLU":
        spec.kernel = L.CuDNNBatchNorm(spec.x0)
    elif kernel.name == "sum and ReLU":
        spec.kernel = L.Eltwise(spec.x0, spec.x1)
    elif kernel.name == "Axpy":
        pooled = spec.pooled = L.Pooling(spec.x1, pool=1, global_pooling=True)
        spec.kernel = L.Axpy(pooled, spec.x0, spec.x1)
    elif kernel.name == "ReLU":
        spec.kernel = L.ReLU(spec.x0)
    elif kernel.name == "global average":
        spec.kernel = L.Pooling(spec.x0, pool=1, global_pooling=True)
    else:
        raise ValueError(f"kernel '{kernel.name}': there is no such")
    if kernel.name.endswith("and ReLU"):
        spec.relu = L.ReLU(spec.kernel, in_place=True)
        spec.out = _pointwise(spec.relu, 16)
    else:
        spec.out = _pointwise(spec.kernel, 16)
    definition = spec.to_proto()
    definition.force_backward = True
    net = caffe.Net(definition, caffe.TRAIN)
    net.precision = precision
    net.keep_blobs = False
    return net


def _pointwise(bottom: Any, channels: int) -> Any:
    filler = {"type": "msra"}
    return L.Convolution(
        bottom, num_output=channels, kernel_size=1, weight_filler=filler
    )


def times_of(net: caffe.Net, name: str, runs: int) -> tuple[float, float]:
    """Milliseconds of a layer forward and backward."""
    index = list(net.top_names).index(name)
    forward, backward = [], []
    for run in range(-2, runs):
        times = net._engine.time_layers()
        if run >= 0:
            forward.append(times.forward_ms[index])
            backward.append(times.backward_ms[index])
    return statistics.median(forward), statistics.median(backward)


def copy_rate(count: int, runs: int) -> float:
    """GB/s that a copy of so many floats within the GPU's memory reads and writes."""
    # The library of the CUDA runtime, by way of the one that uses it.
    cuda = ctypes.CDLL(caffe._caffe.library_path())
    blobs = caffe.Blob(count), caffe.Blob(count)
    source = blobs[0].gpu_data.__cuda_array_interface__["data"][0]
    target = blobs[1].mutable_gpu_data.__cuda_array_interface__["data"][0]
    arguments = (
        ctypes.c_void_p(target),
        ctypes.c_void_p(source),
        ctypes.c_size_t(4 * count),
    )
    ms = []
    for run in range(-2, runs):
        timer = caffe.Timer()
        timer.start()
        status = cuda.cudaMemcpyAsync(*arguments, DEVICE_TO_DEVICE, None)
        timer.stop()
        if status:
            raise RuntimeError(f"cudaMemcpyAsync failed with error {status}")
        if run >= 0:
            ms.append(timer.ms)
    return 2 * 4 * count / statistics.median(ms) / 1e6


def product_rate(side: int, precision: str, runs: int) -> float:
    """TFLOP/s of an InnerProduct whose three matrices are square."""
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={"dim": [side, side]})
    spec.first = L.InnerProduct(
        spec.data, num_output=side, weight_filler={"type": "msra"}, bias_term=False
    )
    net = caffe.Net(spec.to_proto(), caffe.TEST)
    net.precision = precision
    index = list(net.top_names).index("first")
    times = [net._engine.time_layers().forward_ms[index] for _ in range(runs + 2)]
    return 2 * side**3 / statistics.median(times[2:]) / 1e9


def main() -> None:
    """Runs the job and prints its result."""
    job = measurement.job()
    caffe.set_mode_gpu()
    runs = job["runs"]
    largest = max(job["shapes"], key=lambda shape: shape[1] * shape[2] * shape[3])
    count = largest[0] * largest[1] * largest[2] * largest[3]
    result: dict[str, Any] = {
        "copy_gb_per_s": copy_rate(count, runs),
        "products_tflop_per_s": {
            precision: product_rate(job["side"], precision, runs)
            for precision in job["precisions"]
        },
        "rows": [],
    }
    for precision in job["kernel_precisions"]:
        for shape in job["shapes"]:
            for kernel in KERNELS:
                net = net_of(kernel, shape, precision)
                elements = shape[0] * shape[1] * shape[2] * shape[3]
                for way, ms, moved in zip(
                    ("forward", "backward"),
                    times_of(net, "kernel", runs),
                    (kernel.forward, kernel.backward),
                    strict=True,
                ):
                    rate = moved * elements * BYTES[precision] / ms / 1e6
                    row = {
                        "kernel": kernel.name,
                        "shape": list(shape),
                        "precision": precision,
                        "pass": way,
                        "ms": ms,
                        "gb_per_s": rate,
                        "of_copy": rate / result["copy_gb_per_s"],
                        "elementwise": kernel.elementwise,
                    }
                    result["rows"].append(row)
                del net
    print(json.dumps(result))


if __name__ == "__main__":
    main()
