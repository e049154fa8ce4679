"""Trainings whose loss is no number any more, by `caffe train` and pycaffe."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import parallel_runs as runs
import pytest
from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2


def diverging():
    """A net whose weights grow until the loss overflows, some iterations on."""
    net = caffe.NetSpec()
    net.data, net.target = L.DummyData(
        ntop=2,
        shape=[{"dim": [4, 3]}, {"dim": [4, 2]}],
        data_filler=[{"type": "constant", "value": 4}, {"value": 1}],
    )
    filler = {"type": "xavier"}
    net.first = L.InnerProduct(net.data, num_output=6, weight_filler=filler)
    net.second = L.InnerProduct(net.first, num_output=2, weight_filler=filler)
    net.loss = L.EuclideanLoss(net.second, net.target)
    return net.to_proto()


def solver(folder, **fields):
    settings = {"base_lr": 0.5, "momentum": 0.5, "max_iter": 200, "display": 1}
    return runs.solver(folder, diverging(), **{"snapshot": 2, **settings, **fields})


def train(processes, file, *arguments):
    command = (runs.CAFFE, "train", "-solver", file, *arguments)
    return runs.finish(runs.launch(processes, *command))


def snapshots(folder):
    return sorted(folder.glob("*.caffemodel"), key=runs.iteration_of)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_run_stops_and_keeps_the_good_snapshots(processes, tmp_path):
    output, status = train(processes, solver(tmp_path / "run"))
    assert status not in (0, None)
    (error,) = set(re.findall("caffe train: error: (.*)", output))
    assert "expected a finite number" in error or "are not saved" in error
    assert "layer '" in error
    kept = snapshots(tmp_path / "run")
    assert kept
    for file in kept:
        assert all(np.isfinite(w).all() for w in runs.weights(file).values())
    (good,) = re.findall("the last good snapshot is '(.*?)', go on from there", error)
    assert Path(good).with_suffix(".caffemodel") in kept
    assert "Optimization Done" not in output
    # What it says to do can be done.
    gentle = solver(tmp_path / "gentle", base_lr=1e-30, momentum=0, max_iter=200)
    output, status = train(1, gentle, "-snapshot", good)
    assert status == 0, output


def test_on_nan_continue_keeps_caffes_behaviour(tmp_path):
    file = solver(tmp_path / "flag")
    output, status = train(1, file, "-on_nan", "continue")
    assert status == 0, output
    warnings = [line for line in output.splitlines() if "expected a finite" in line]
    assert len(warnings) == 1
    assert "training goes on" in warnings[0]
    assert runs.iteration_of(snapshots(tmp_path / "flag")[-1]) == 200
    text = text_format.Parse(file.read_text(), caffe_pb2.SolverParameter())
    text.on_nan = caffe_pb2.SolverParameter.CONTINUE
    text.snapshot_prefix = str(tmp_path / "flag" / "t")
    file.write_text(text_format.MessageToString(text))
    output, status = train(1, file)
    assert status == 0, output
    # The flag has the last word.
    output, status = train(1, file, "-on_nan", "stop")
    assert status == 1
    assert "caffe train: error: solver: " in output


def test_pycaffe_raises_what_caffe_train_prints(tmp_path):
    training = caffe.get_solver(str(solver(tmp_path / "run", snapshot=0)))
    training.step(1)
    training.net.params["first"][1].data[2] = np.nan
    with pytest.raises(RuntimeError, match=r"layer 'first' .* parameter 1: 1 of 6 val"):
        training.step(1)
    assert training.iter == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("base_lr: nan", "solver: base_lr is nan, expected at least 0"),
        ("base_lr: -1", "solver: base_lr is -1, expected at least 0"),
        ("base_lr: inf", "solver: base_lr is inf, expected a finite number"),
        ("momentum: 2", "solver: momentum is 2, expected at least 0 and below 1"),
    ],
)
def test_nonsense_is_refused_before_anything_runs(setting, message, tmp_path):
    file = solver(tmp_path / "run")
    name = setting.partition(":")[0]
    lines = [ln for ln in file.read_text().splitlines() if not ln.startswith(name)]
    file.write_text("\n".join([*lines, setting]))
    done = subprocess.run(
        [runs.CAFFE, "train", "-solver", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert not snapshots(tmp_path / "run")
