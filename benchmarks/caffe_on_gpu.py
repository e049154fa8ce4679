"""A network in sknet-caffe on a GPU, measured; counterpart of `pytorch_network.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measurement
import numpy as np
from google.protobuf import text_format

import caffe
import sknet
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter
from sknet.models import create_model, deploy


def steps_of(job: dict[str, Any], folder: Path) -> Callable[[], object]:
    """A function that does one inference or one training step, as the commands do it.

    The images lie on the GPU; an inference ends when the scores are on the host.
    """
    caffe.set_random_seed(1)
    model, batch = create_model(job["network"]), job["batch"]
    generator = np.random.default_rng(1)
    shape = (batch, 3, model.image_size, model.image_size)
    images = generator.standard_normal(shape, dtype=np.float32)
    if job["task"] == "inference":
        net = caffe.Net(deploy(model, batch), caffe.TEST, optimize=True)
        net.precision = job["precision"]
        for blobs in net.params.values():
            if len(blobs) == 4:
                blobs[3].data[...] = 1  # untrained variances
        net.blobs["data"].data[...] = images
        return net.forward
    net_file = folder / "net.prototxt"
    net_file.write_text(text_format.MessageToString(with_loss(deploy(model, batch))))
    solver_file = folder / "solver.prototxt"
    solver_file.write_text(
        f'net: "{net_file}" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 '
        "weight_decay: 0.0001 solver_mode: GPU random_seed: 1 display: 0 "
        f'max_iter: 1000000 snapshot_prefix: "{folder / "model"}"'
    )
    solver = caffe.SGDSolver(str(solver_file))
    solver.net.keep_blobs = False
    solver.net.precision = job["precision"]
    solver.net.blobs["data"].data[...] = images
    classes = solver.net.blobs["classifier"].shape[1]
    solver.net.blobs["label"].data[...] = generator.integers(classes, size=batch)
    return lambda: solver.step(1)


def with_loss(net: NetParameter) -> NetParameter:
    """The net with a loss instead of its probabilities, and labels as an input."""
    scores = net.layer[-1].bottom[0]
    batch = net.layer[0].input_param.shape[0].dim[0]
    label = LayerParameter(name="label", type="Input", top=["label"])
    label.input_param.shape.add(dim=[batch])
    loss = LayerParameter(
        name="loss", type="SoftmaxWithLoss", bottom=[scores, "label"], top=["loss"]
    )
    layers = [*net.layer[:-1], label, loss]
    del net.layer[:]
    net.layer.extend(layers)
    return net


def peak_mb() -> float:
    """The most GPU memory that the library had in use."""
    return caffe._caffe.device_memory().peak / 2**20


def main() -> None:
    """Runs the job and prints its result."""
    job = measurement.job()
    caffe.set_mode_gpu()
    with tempfile.TemporaryDirectory() as folder:
        step = steps_of(job, Path(folder))
        # A step ends when its loss or its scores are on the host.
        measurement.measure_blocks(job, step, sknet.__version__, lambda: None, peak_mb)


if __name__ == "__main__":
    main()
