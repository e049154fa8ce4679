"""Training on emulated GPUs: as on the CPU, resumed, and on two at once."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from emulated_gpus import needed, succeed
from log_lines import LOG_LINE
from parallel_runs import (
    CAFFE,
    MPIRUN,
    classifier,
    data,
    images,
    numbers,
    raw,
    solver,
    weights,
    write_images,
)
from tolerance import Op, assert_close

pytestmark = needed

LOSS = r"Iteration \d+.*, loss = (\S+)"
BATCH = 4


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("gpu") / "lmdb"
    write_images(path, map(raw, images()))
    return path


def net(database, batch=BATCH, **options):
    top = data(database, batch, mirror=True, crop_size=6, mean_value=128)
    return classifier(*top, **options)


def train(file, *flags, **variables):
    """The messages of a training that succeeds."""
    log = succeed(
        "caffe", "train", "-solver", file, *flags, cwd=file.parent, **variables
    )
    lines = filter(None, map(LOG_LINE.match, log.splitlines()))
    return [line.group(1) for line in lines]


# Sums over 1200 values and the images of a batch, in each of the iterations.
def terms(iterations):
    return 1200 * BATCH * iterations


@pytest.mark.parametrize("norm", [False, True])
def test_losses_and_weights_follow_the_processors(norm, database, tmp_path):
    logs, final = [], []
    for name, flags in (("cpu", []), ("gpu", ["-gpu", 0])):
        definition = net(database, norm=norm)
        file = solver(tmp_path / name, definition, display=1, max_iter=30, base_lr=0.01)
        logs.append(train(file, *flags))
        final.append(weights(file.parent / "s_iter_30.caffemodel"))
    assert "Use CPU." in logs[0]
    assert "Use GPU with device ID 0" in logs[1]
    want = numbers(logs[0], LOSS)
    assert len(want) == 31
    assert want[-1] < want[0]
    assert_close(numbers(logs[1], LOSS), want, Op.REDUCTION, terms(30))
    if norm:
        # The gradient of a bias in front of a batch norm is rounding and nothing else.
        del final[0]["conv 1"]
    for name in final[0]:
        op = Op.COPY if name.startswith("frozen") else Op.REDUCTION
        assert_close(final[1][name], final[0][name], op, terms(30))


def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(database, tmp_path):
    fields = {"max_iter": 6, "snapshot": 3, "type": "Adam", "base_lr": 0.01}
    definition = net(database, dropout=True, norm=True)
    file = solver(tmp_path / "run", definition, **fields)
    train(file, "-gpu", 1)
    last = file.parent / "s_iter_6.caffemodel"
    whole = last.read_bytes()
    last.unlink()
    train(file, "-gpu", 1, "-snapshot", file.parent / "s_iter_3.solverstate")
    assert last.read_bytes() == whole


def test_the_solver_may_ask_for_a_gpu(database, tmp_path):
    fields = {"solver_mode": "GPU", "device_id": 1, "max_iter": 1}
    log = train(solver(tmp_path / "run", net(database), **fields))
    assert "Use GPU with device ID 1" in log


# A step of the beginning allocates what the next ones use again.
STEPS = """
import sys
import caffe
from caffe import _caffe

caffe.set_mode_gpu()
solver = caffe.get_solver(sys.argv[1])
solver.step(2)
before = _caffe.device_memory()
solver.step(3)
after = _caffe.device_memory()
assert before.used > 0
assert after.driver_allocations == before.driver_allocations, after.driver_allocations
assert after.used == before.used
assert after.peak == before.peak
"""


def test_after_two_iterations_no_step_asks_the_driver_for_memory(database, tmp_path):
    file = solver(tmp_path / "run", net(database, norm=True), clip_gradients=0.5)
    succeed("python", "-c", STEPS, file, cwd=tmp_path)


# A Python layer in the middle, and a callback that looks at a blob.
PYTHON_LAYER = """
import sys
import numpy as np
import caffe
from caffe import layers as L


class Twice(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff


spec = caffe.NetSpec()
spec.data = L.Input(shape={"dim": [2, 4]})
spec.fc = L.InnerProduct(spec.data, num_output=3, bias_term=False)
spec.twice = L.Python(spec.fc, module="__main__", layer="Twice")
spec.out = L.AbsVal(spec.twice)
definition = spec.to_proto()
definition.force_backward = True
caffe.set_mode_gpu()
net = caffe.Net(definition, caffe.TRAIN)
given = np.load(sys.argv[1])
net.blobs["data"].data[...] = given["x"]
net.params["fc"][0].data[...] = given["w"]
seen = []
net.after_forward(lambda layer: seen.append(net.blobs["fc"].data.copy()))
output = net.forward()["out"].copy()
net.blobs["out"].diff[...] = 1
net.backward()
np.savez(
    sys.argv[2],
    output=output,
    seen=seen[-1],
    dw=net.params["fc"][0].diff,
    dx=net.blobs["data"].diff,
)
"""


def test_python_layers_and_callbacks_see_what_the_gpu_computed(random, tmp_path):
    x, w = random.normal(size=(2, 4)), random.normal(size=(3, 4))
    np.savez(tmp_path / "given.npz", x=x, w=w)
    succeed("python", "-c", PYTHON_LAYER, "given.npz", "got.npz", cwd=tmp_path)
    y = x @ w.T
    slope = 2 * np.sign(y)
    want = {"output": abs(2 * y), "seen": y, "dw": slope.T @ x, "dx": slope @ w}
    with np.load(tmp_path / "got.npz") as got:
        for name, values in want.items():
            assert_close(got[name], values, Op.REDUCTION, terms=4)


@pytest.mark.skipif(
    not (shutil.which("mpirun") and shutil.which("mpicc")),
    reason="MPI is not installed (apt-get install libopenmpi-dev openmpi-bin)",
)
@pytest.mark.parametrize("launched_by", ["caffe", "mpirun"])
def test_two_gpus_train_as_one_with_the_whole_batch(launched_by, database, tmp_path):
    one = solver(tmp_path / "one", net(database, BATCH))
    train(one, "-gpu", 0)
    two = solver(tmp_path / "two", net(database, BATCH // 2))
    command = ["caffe", "train", "-solver", two, "-gpu"]
    if launched_by == "caffe":
        command.append("0,1")
    else:
        command = [*MPIRUN, "-n", 2, CAFFE, *command[1:], "local"]
    # Emulated devices are of one process, so NCCL finds no way between two.
    log = succeed(
        *command,
        cwd=tmp_path,
        CUDA_EMULATION_FAIL="nccl",
        OMPI_MCA_rmaps_base_oversubscribe=1,
        OMPI_MCA_btl_vader_single_copy_mechanism="none",
    )
    assert log.count("NCCL cannot connect the GPUs") == 1
    want = weights(one.parent / "s_iter_8.caffemodel")
    got = weights(two.parent / "s_iter_8.caffemodel")
    assert list(got) == list(want)
    for name in want:
        op = Op.COPY if name.startswith("frozen") else Op.REDUCTION
        assert_close(got[name], want[name], op, terms(8))
