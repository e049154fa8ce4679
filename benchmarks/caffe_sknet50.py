"""SKNet-50 in sknet-caffe, measured; counterpart of `pytorch_sknet50.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import measurement
import numpy as np
from google.protobuf import text_format

import caffe
import sknet
from sknet.models import create_model, deploy, released


def steps_of(
    task: str, batch: int, name: str, lean: bool, precision: str, folder: Path
):
    """A function that does one inference or one training step.

    `lean`: fused for inference, without blobs that are needed no more in training, as
    the commands do it; otherwise layer by layer with all blobs, as Caffe did.
    """
    caffe.set_mode_cpu()
    caffe.set_random_seed(1)
    model = create_model(name)
    net_file = folder / "net.prototxt"
    generator = np.random.default_rng(1)
    images = generator.standard_normal((batch, 3, 224, 224), dtype=np.float32)
    if task == "inference":
        net_file.write_text(text_format.MessageToString(deploy(model, batch)))
        net = caffe.Net(str(net_file), caffe.TEST, optimize=lean)
        net.precision = precision
        for blobs in net.params.values():
            if len(blobs) == 4:
                blobs[3].data[...] = 1  # untrained variances

        def infer() -> None:
            net.blobs["data"].data[...] = images
            net.forward()

        return infer

    net_file.write_text(text_format.MessageToString(released(model, batch)))
    solver_file = folder / "solver.prototxt"
    solver_file.write_text(
        f'net: "{net_file}" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 '
        "weight_decay: 0.0001 solver_mode: CPU random_seed: 1 display: 0 "
        f'max_iter: 1000 snapshot_prefix: "{folder / "model"}"'
    )
    solver = caffe.SGDSolver(str(solver_file))
    solver.net.keep_blobs = not lean
    solver.net.precision = precision
    labels = generator.integers(1000, size=batch)

    def train() -> None:
        solver.net.blobs["data"].data[...] = images
        solver.net.blobs["label"].data[...] = labels
        solver.step(1)

    return train


def main() -> None:
    """Runs the job and prints its result."""
    job = measurement.job()
    with tempfile.TemporaryDirectory() as folder:
        precision = "bf16" if job["bf16"] else "float32"
        step = steps_of(
            job["task"],
            job["batch"],
            job.get("model", "sknet50"),
            job["lean"],
            precision,
            Path(folder),
        )
        measurement.measure(job, step, sknet.__version__)


if __name__ == "__main__":
    main()
