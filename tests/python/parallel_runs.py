"""Trainings in several processes, and what they train."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
from google.protobuf import text_format
from log_lines import LOG_LINE

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2

IMAGES = 46  # no multiple of a batch
SIZE = 8
# For what hangs, not for what a busy machine makes slow.
LONGEST_S = 300
MPIRUN = ("mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none")
ENVIRONMENT = {
    **os.environ,
    # The processes share two processors with other tests.
    "OMP_NUM_THREADS": "1",
    # A container may forbid a process to read another one's memory.
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}
CAFFE = str(Path(sys.executable).with_name("caffe"))


def images():
    shape = (IMAGES, 3, SIZE, SIZE)
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


def write_images(path, contents):
    environment = lmdb.open(str(path), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for i, content in enumerate(contents):
            datum = caffe_pb2.Datum(label=i % 5, **content)
            transaction.put(b"%05d" % i, datum.SerializeToString())
    environment.close()


def raw(image):
    channels, height, width = image.shape
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "data": image.tobytes(),
    }


def data(database, batch, **transform):
    return L.Data(
        ntop=2,
        source=str(database),
        backend="LMDB",
        batch_size=batch,
        transform_param={"scale": 1 / 128, **transform},
    )


def classifier(data, label, shared=False, dropout=False, norm=False):
    """A frozen convolution, a learned one, and what else is asked for."""
    net = caffe.NetSpec()
    net.data, net.label = data, label
    msra = {"type": "msra"}
    net.frozen = L.Convolution(
        net.data,
        num_output=3,
        kernel_size=1,
        weight_filler=msra,
        param=[{"lr_mult": 0}, {"lr_mult": 0}],
    )
    net.conv = L.Convolution(
        net.frozen, num_output=16, kernel_size=3, weight_filler=msra
    )
    if norm:
        net.norm = L.CuDNNBatchNorm(net.conv, momentum=0.875)
    net.relu = L.ReLU(net.norm if norm else net.conv, in_place=True)
    net.pool = last = L.Pooling(net.relu, global_pooling=True, pool="AVE")
    if shared:
        param = [{"name": "w"}, {"name": "b"}]
        for name in ("first", "second"):
            last = L.InnerProduct(
                last, num_output=16, weight_filler={"type": "xavier"}, param=param
            )
            net[name] = last
            last = L.TanH(last)
    if dropout:
        net.drop = last = L.Dropout(last)
    # More than 64 kB, which MPI sums in another way.
    net.wide = L.InnerProduct(last, num_output=1200, weight_filler={"type": "xavier"})
    net.fc = L.InnerProduct(net.wide, num_output=5, weight_filler={"type": "xavier"})
    net.loss = L.SoftmaxWithLoss(net.fc, net.label)
    return net.to_proto()


def solver(folder, net, **fields):
    """Writes a net and a solver into a new folder; returns the solver's path."""
    folder.mkdir()
    (folder / "net.prototxt").write_text(text_format.MessageToString(net))
    settings = {
        "net": str(folder / "net.prototxt"),
        "base_lr": 0.05,
        "lr_policy": "fixed",
        "momentum": 0.9,
        "weight_decay": 0.001,
        "max_iter": 8,
        "random_seed": 3,
        "display": 4,
        "snapshot_prefix": str(folder / "s"),
        **fields,
    }
    path = folder / "solver.prototxt"
    path.write_text(text_format.MessageToString(caffe_pb2.SolverParameter(**settings)))
    return path


def launch(processes, *command):
    if processes > 1:
        command = (*MPIRUN, "-n", processes, *command)
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
    )


def open_mpi_version():
    """The first number of it."""
    printed = subprocess.run(
        ["mpirun", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(re.search(r"\(Open MPI\) (\d+)", printed).group(1))


def finish(process):
    """The output of a process, and its exit status."""
    try:
        return process.communicate(timeout=LONGEST_S)[0], process.returncode
    finally:
        process.kill()


def train(processes, solver_file, *arguments):
    """The messages of a run that must succeed."""
    command = (CAFFE, "train", "-solver", solver_file, *arguments)
    output, status = finish(launch(processes, *command))
    assert status == 0, output
    lines = filter(None, map(LOG_LINE.match, output.splitlines()))
    return [line.group(1) for line in lines]


def weights(path):
    net = caffe_pb2.NetParameter.FromString(Path(path).read_bytes())
    return {
        f"{layer.name} {i}": np.array(blob.data, dtype=np.float32)
        for layer in net.layer
        for i, blob in enumerate(layer.blobs)
    }


def numbers(log, pattern):
    return [float(found.group(1)) for line in log if (found := re.match(pattern, line))]


def iteration_of(snapshot):
    """The number in a snapshot's name."""
    return int(snapshot.stem.rpartition("_")[2])


def children(parent):
    """The processes that a process has started, read without ps, which is an extra."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything; the parent is two words on.
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


class Running:
    """A training in two processes without an end."""

    def __init__(self, database, folder, **fields):
        self.net = classifier(*data(database, 2))
        file = solver(folder, self.net, max_iter=10**9, display=100, **fields)
        self.folder = folder
        self.process = launch(2, CAFFE, "train", "-solver", file)

    def __enter__(self):
        try:
            for line in self.process.stdout:
                if "Iteration 100 " in line:
                    break
            self.ranks = children(self.process.pid)
            assert len(self.ranks) == 2
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()

    def snapshots(self):
        found = self.folder.glob("s_iter_*.solverstate")
        return sorted(found, key=iteration_of)
