"""The demonstration's SKNet and its digits, on emulated GPUs."""

from __future__ import annotations

import importlib
import shutil
import sys

import pytest
from conftest import ROOT
from emulated_gpus import needed, succeed
from google.protobuf import text_format
from log_lines import LOG_LINE
from parallel_runs import CAFFE, MPIRUN, numbers, weights
from tolerance import Op, assert_close

from caffe.proto import caffe_pb2
from sknet.models import create_model

pytestmark = needed

LOSS = r"Iteration \d+.*, loss = (\S+)"
ITERATIONS = 30
BATCH = 4
# The longest sums, of a 3x3 convolution's gradient over the images of a batch.
TERMS = BATCH * 16 * 16


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The databases, net and solver of scripts/demo.py."""
    folder = tmp_path_factory.mktemp("digits")
    sys.path.insert(0, str(ROOT / "scripts"))
    demo = importlib.import_module("demo")
    demo.write_databases(folder)
    demo.generate(folder)
    return folder


def definition(digits, batch, frozen=False):
    """The net for learning, with smaller batches."""
    net = text_format.Parse(
        (digits / "train_val.prototxt").read_text(), caffe_pb2.NetParameter()
    )
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.batch_size = batch
        elif layer.type == "CuDNNBatchNorm":
            layer.batch_norm_param.frozen = frozen
    return net


def solver(folder, digits, net, **fields):
    """Writes the net and a solver that does as the demonstration's first iterations."""
    folder.mkdir()
    (folder / "net.prototxt").write_text(text_format.MessageToString(net))
    message = text_format.Parse(
        (digits / "solver.prototxt").read_text(), caffe_pb2.SolverParameter()
    )
    tests = ("test_iter", "test_interval", "test_initialization")
    # The rate would begin at 0, and end there before it had risen. At ten times this
    # one differences of rounding grow to 7e-4 in 30 iterations.
    for name in (*tests, "snapshot", "warmup_iter"):
        message.ClearField(name)
    message.base_lr = 0.001
    message.net = str(folder / "net.prototxt")
    message.snapshot_prefix = str(folder / "s")
    message.display = 1
    for name, value in fields.items():
        setattr(message, name, value)
    path = folder / "solver.prototxt"
    path.write_text(text_format.MessageToString(message))
    return path


def losses(log):
    lines = filter(None, map(LOG_LINE.match, log.splitlines()))
    return numbers([line.group(1) for line in lines], LOSS)


def test_losses_follow_the_processors(digits, tmp_path):
    found = {}
    for name, flags in (("cpu", []), ("gpu", ["-gpu", 0])):
        net = definition(digits, BATCH)
        file = solver(tmp_path / name, digits, net, max_iter=ITERATIONS)
        found[name] = losses(
            succeed("caffe", "train", "-solver", file, *flags, cwd=tmp_path)
        )
    assert len(found["cpu"]) == ITERATIONS + 1
    assert_close(found["gpu"], found["cpu"], Op.REDUCTION, TERMS * ITERATIONS)


def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(digits, tmp_path):
    fields = {"max_iter": 6, "snapshot": 3}
    file = solver(tmp_path / "run", digits, definition(digits, 4), **fields)
    command = ("caffe", "train", "-solver", file, "-gpu", 1)
    succeed(*command, cwd=tmp_path)
    last = file.parent / "s_iter_6.caffemodel"
    whole = last.read_bytes()
    last.unlink()
    succeed(*command, "-snapshot", file.parent / "s_iter_3.solverstate", cwd=tmp_path)
    assert last.read_bytes() == whole


# Each of two GPUs normalises by its own images, so the norms are frozen here.
@pytest.mark.skipif(
    not (shutil.which("mpirun") and shutil.which("mpicc")),
    reason="MPI is not installed (apt-get install libopenmpi-dev openmpi-bin)",
)
def test_two_gpus_train_as_one_with_the_whole_batch(digits, tmp_path):
    trained = []
    for name, batch, places in (("one", 8, ["0"]), ("two", 4, ["local"])):
        net = definition(digits, batch, frozen=True)
        file = solver(tmp_path / name, digits, net, max_iter=4)
        command = [*MPIRUN, "-n", 2, CAFFE] if name == "two" else ["caffe"]
        succeed(
            *(*command, "train", "-solver", file, "-gpu", *places),
            cwd=tmp_path,
            # Emulated devices are of one process, so NCCL finds no way between two.
            CUDA_EMULATION_FAIL="nccl",
            OMPI_MCA_rmaps_base_oversubscribe=1,
            OMPI_MCA_btl_vader_single_copy_mechanism="none",
        )
        trained.append(weights(file.parent / "s_iter_4.caffemodel"))
    one, two = trained
    assert list(one) == list(two)
    assert len(one) > 3 * len(create_model("sknet_digits").depths)
    for name in one:
        assert_close(two[name], one[name], Op.REDUCTION, TERMS * 4)
