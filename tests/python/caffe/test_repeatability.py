"""What is equal in runs of one seed, whatever the number of threads.

Layers draw what they draw whatever the number of threads; sums are rounded in another
order where threads share them in another way, so weights are the same bits only in runs
with equal numbers of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from google.protobuf import text_format
from parallel_runs import data, images, raw, write_images
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2

TRAIN = """
import hashlib, json, sys
import numpy as np
import caffe

def digest(arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

solver = caffe.get_solver(sys.argv[1])
blobs = solver.net.blobs
params = [blob for layer in solver.net.params.values() for blob in layer]
start = digest([blob.data for blob in params])
draws = []
first = None
for _ in range(10):
    solver.step(1)
    draws.append(digest([blobs[n].data for n in ("data", "label", "noise", "mask")]))
    first = first or [blob.data.ravel().tolist() for blob in params]
end = digest([blob.data for blob in params])
print(json.dumps({"start": start, "draws": draws, "first": first, "end": end}))
"""


@pytest.fixture
def solver_file(tmp_path):
    """Every layer that draws, before ones whose sums threads share."""
    write_images(tmp_path / "lmdb", map(raw, images()))
    net = caffe.NetSpec()
    net.data, net.label = data(tmp_path / "lmdb", 32, mirror=True, crop_size=6)
    net.ones = L.DummyData(shape={"dim": [32, 3, 6, 6]}, data_filler={"value": 1})
    net.noise = L.DummyData(
        shape={"dim": [32, 3, 6, 6]}, data_filler={"type": "gaussian", "std": 0.1}
    )
    net.mask = L.Dropout(net.ones)
    net.sum = L.Eltwise(net.data, net.noise, net.mask)
    net.conv = L.Convolution(
        net.sum, num_output=16, kernel_size=3, pad=1, weight_filler={"type": "msra"}
    )
    net.norm = L.CuDNNBatchNorm(net.conv)
    net.relu = L.ReLU(net.norm, in_place=True)
    net.pool = L.Pooling(net.relu, kernel_size=2, stride=2)
    net.fc = L.InnerProduct(net.pool, num_output=5, weight_filler={"type": "xavier"})
    net.loss = L.SoftmaxWithLoss(net.fc, net.label)
    settings = caffe_pb2.SolverParameter(
        net_param=net.to_proto(), base_lr=0.05, lr_policy="fixed", random_seed=3
    )
    path = tmp_path / "solver.prototxt"
    path.write_text(text_format.MessageToString(settings))
    return path


def test_threads_change_no_draw_and_equal_numbers_of_them_no_weight(solver_file):
    runs = {}
    for threads in (1, 2, 3, 1, 2, 3):
        process = subprocess.run(
            [sys.executable, "-c", TRAIN, str(solver_file)],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        runs.setdefault(threads, []).append(json.loads(process.stdout))
    one = runs[1][0]
    assert len(set(one["draws"])) == 10
    for threads, (run, again) in runs.items():
        assert run == again, f"{threads} threads"
        assert run["start"] == one["start"]
        assert run["draws"] == one["draws"], f"{threads} threads"
        for got, want in zip(run["first"], one["first"], strict=True):
            # Sums over the 32 images and 36 places of a batch.
            got, want = (np.array(values, np.float32) for values in (got, want))
            assert_close(got, want, Op.REDUCTION, terms=32 * 36)
