"""The commands that run a net, on emulated GPUs: the results are those of the CPU."""

from __future__ import annotations

import json
import re

import lmdb
import nets
import pytest
from colour_net import write_images, write_net
from emulated_gpus import needed, succeed
from google.protobuf import text_format
from parallel_runs import numbers
from tolerance import Op, assert_close, tolerance

import caffe
from caffe.proto.caffe_pb2 import Datum
from sknet.models import create_model, deploy

pytestmark = needed

PLACES = {"cpu": [], "gpu": [0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A classifier and a few images of its classes."""
    path = tmp_path_factory.mktemp("commands")
    write_net(path)
    write_images(path / "images", 14, (20, 24))
    return path


def test_scores(folder):
    records = []
    for place, gpu in PLACES.items():
        succeed(
            *("sknet", "evaluate", "colours.prototxt"),
            *("--weights", "colours.caffemodel", "--source", "images"),
            *("--resize", 0, "--batch", 4, "--json", f"{place}.json"),
            *(["--gpu", *gpu] if gpu else []),
            cwd=folder,
        )
        record = json.loads((folder / f"{place}.json").read_text())
        records.append({k: v for k, v in record.items() if not k.endswith("_per_s")})
    assert records[0] == records[1]
    assert records[0]["images"] == 14


def test_attention(folder):
    weights = folder / "sknet_digits.caffemodel"
    caffe.set_random_seed(2)
    caffe.Net(deploy(create_model("sknet_digits"), 2), caffe.TEST).save(str(weights))
    scales = []
    for place, gpu in PLACES.items():
        succeed(
            *("sknet", "attention", "sknet_digits", "--weights", weights),
            *("--source", "images", "--resize", 32, "--batch", 2, "--limit", 2),
            *("--scales", "1.0,1.5", "--images", 0),
            *("--out", f"{place}_attention", "--json", f"{place}_attention.json"),
            *(["--gpu", *gpu] if gpu else []),
            cwd=folder,
        )
        record = json.loads((folder / f"{place}_attention.json").read_text())
        scales.append([list(scale["units"].values()) for scale in record["scales"]])
    # Differences of softmaxes, behind convolutions of up to 256 channels.
    assert_close(scales[1], scales[0], Op.REDUCTION, terms=9 * 256)


def test_caffe_test(tmp_path):
    (tmp_path / "net.prototxt").write_text(text_format.MessageToString(nets.learner()))
    caffe.Net(nets.learner(), caffe.TRAIN).save(str(tmp_path / "w.caffemodel"))
    outputs = []
    for gpu in PLACES.values():
        log = succeed(
            *("caffe", "test", "-model", "net.prototxt", "-weights", "w.caffemodel"),
            *("-iterations", 2, *(["-gpu", *gpu] if gpu else [])),
            cwd=tmp_path,
        )
        lines = [line.partition("] ")[2] for line in log.splitlines()]
        outputs.append(numbers(lines, r"Batch \d+, loss = (\S+)"))
    assert len(outputs[0]) == 2
    assert_close(outputs[1], outputs[0], Op.PRINTED)


def test_times_of_layers(tmp_path):
    (tmp_path / "net.prototxt").write_text(text_format.MessageToString(nets.learner()))
    log = succeed(
        *("caffe", "time", "-model", "net.prototxt", "-iterations", 2, "-gpu", 1),
        cwd=tmp_path,
    )
    assert "Layers are timed by the GPU, from its own events." in log
    ms = {
        (name, way): float(value)
        for name, way, value in re.findall(r"(\w+)\t(\w+): (\S+) ms\.", log)
    }
    assert {("fc", "forward"), ("fc", "backward"), ("loss", "forward")} <= ms.keys()
    (total,) = re.findall(r"Average Forward-Backward: (\S+) ms", log)
    relative, _ = tolerance(Op.PRINTED)
    assert 0 < sum(ms.values()) <= float(total) * (1 + 2 * relative)


WAITS = """
import ctypes
import sys
import caffe
from caffe import _caffe

caffe.set_mode_gpu()
net = caffe.Net(sys.argv[1], caffe.TRAIN)
waits = ctypes.CDLL(_caffe.library_path()).cuda_emulation_waits
waits.restype = ctypes.c_ulong
for _ in range(3):
    before = waits()
    net._engine.time_layers()
    assert waits() == before + 1, waits() - before
"""


def test_timing_waits_once_in_an_iteration(tmp_path):
    (tmp_path / "net.prototxt").write_text(text_format.MessageToString(nets.learner()))
    succeed("python", "-c", WAITS, "net.prototxt", cwd=tmp_path)


def test_features(tmp_path):
    (tmp_path / "net.prototxt").write_text(text_format.MessageToString(nets.learner()))
    caffe.Net(nets.learner(), caffe.TRAIN).save(str(tmp_path / "w.caffemodel"))
    stored = []
    for place, device in (("cpu", ["CPU"]), ("gpu", ["GPU", "DEVICE_ID=1"])):
        log = succeed(
            *("extract_features", "w.caffemodel", "net.prototxt", "fc", place),
            *(2, "lmdb", *device),
            cwd=tmp_path,
        )
        assert ("Using Device_id=1" in log) == (place == "gpu")
        with (
            lmdb.open(str(tmp_path / place), readonly=True, lock=False) as database,
            database.begin() as transaction,
        ):
            datums = [Datum.FromString(value) for _, value in transaction.cursor()]
        stored.append([list(datum.float_data) for datum in datums])
    assert len(stored[0]) == 16
    assert_close(stored[1], stored[0], Op.REDUCTION, terms=4)
