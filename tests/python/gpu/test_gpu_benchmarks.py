"""What measures a GPU, run on an emulated one: everything but the numbers."""

from __future__ import annotations

import json
import sys

import pytest
from conftest import ROOT
from emulated_gpus import needed, run, succeed

PROGRAM = ROOT / "benchmarks" / "gpu_peers.py"
ENGINES = {
    "sknet-caffe",
    "PyTorch eager",
    "PyTorch compiled",
    "PyTorch compiled, graphs",
    "TensorRT",
}

sys.path.insert(0, str(ROOT / "benchmarks"))
import gpu_peers  # noqa: E402


@needed
def test_a_small_network_and_the_kernels(tmp_path):
    text = succeed(
        *("python", PROGRAM, "--quick", "--output", "measured.json"), cwd=tmp_path
    )
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert measured["machine"]["gpu"] == "emulated"
    for row in measured["networks"]:
        assert row["network"] == "sknet_digits"
        assert set(row["engines"]) == ENGINES
        ours = row["engines"].pop("sknet-caffe")
        assert ours["rate"] > 0, ours
        assert ours["peak_mb"] > 0
        for peer in row["engines"].values():
            assert list(peer) == ["not measured"]
    assert len(measured["networks"]) == 3
    kernels = measured["kernels"]
    assert kernels["copy_gb_per_s"] > 0
    assert set(kernels["products_tflop_per_s"]) == {"bf16", "float32"}
    assert {(row["kernel"], row["pass"]) for row in kernels["rows"]} == {
        (kernel, way)
        for kernel in (
            *("batch norm and ReLU", "sum and ReLU", "Axpy", "ReLU"),
            "global average",
        )
        for way in ("forward", "backward")
    }
    assert all(row["ms"] > 0 for row in kernels["rows"])
    for target in measured["targets"][:-1]:
        assert target["measured"] is None
        assert not target["met"]
    assert "images/s" in text
    assert text.count("not measured") > 10


@needed
def test_what_there_was_no_time_for_is_not_measured(tmp_path):
    command = ("python", PROGRAM, "--quick", "--seconds", 0)
    succeed(*command, "--output", "measured.json", cwd=tmp_path)
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert measured["kernels"] == {"not measured": "the time was over"}
    for row in measured["networks"]:
        ours = row["engines"]["sknet-caffe"]
        assert ours == {"not measured": "the time was over"}


@needed
def test_a_failure_is_told_in_the_row(tmp_path):
    command = ("python", PROGRAM, "--quick", "--output", "measured.json")
    done = run(*command, cwd=tmp_path, CUDA_EMULATION_MEMORY=100_000)
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "measured.json").read_text())
    for row in measured["networks"]:
        ours = row["engines"]["sknet-caffe"]
        assert "has no memory for" in ours["not measured"]


def report_of(tmp_path, **rates):
    """Targets where engines have these rates in training, and ten times that memory."""
    task = gpu_peers.Task("training", 128, "bf16")
    report = gpu_peers.Report(tmp_path / "r.json", {})
    names = {"ours": gpu_peers.OWN, "eager": gpu_peers.EAGER}
    names["compiled"] = gpu_peers.COMPILED
    engines = {name: {"not measured": "x"} for name in ENGINES}
    for name, rate in rates.items():
        engines[names[name]] = {"rate": rate, "peak_mb": 10 * rate, "version": "1"}
    row = {"network": "sknet50", "task": vars(task), "engines": engines}
    report.results.append(row)
    return {target["name"]: target for target in report.targets()}


def test_ratios_stand_beside_their_targets(tmp_path):
    targets = report_of(tmp_path, ours=300, eager=150, compiled=300)
    beside_eager = targets["training BF16 128 beside PyTorch eager"]
    assert beside_eager["measured"] == pytest.approx(2)
    assert beside_eager["met"]
    beside_compiled = targets["training BF16 128 beside PyTorch compiled"]
    assert beside_compiled["measured"] == pytest.approx(1)
    assert not beside_compiled["met"]
    memory = targets["memory, training BF16 128 beside PyTorch eager"]
    assert memory["measured"] == pytest.approx(2)
    assert not memory["met"]
    single = targets["inference BF16 1 beside PyTorch compiled"]
    assert single["measured"] is None


def test_half_the_memory_meets_its_target(tmp_path):
    targets = report_of(tmp_path, ours=100, eager=200)
    memory = targets["memory, training BF16 128 beside PyTorch eager"]
    assert memory["met"]
    assert not targets["training BF16 128 beside PyTorch eager"]["met"]


def test_the_most_important_rows_come_first():
    plan = gpu_peers.whole_plan()
    aims = {target.task for target in gpu_peers.TARGETS}
    assert {task for _, task in plan.rows[:3]} == aims
    assert len(set(plan.rows)) == len(plan.rows) == 4 * 5 * 4
