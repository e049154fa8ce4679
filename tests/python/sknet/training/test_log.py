"""The log parser, on the lines of several Caffes."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknet.training.log import TestPoint, TrainPoint, parse, read

LOGS = Path(__file__).parents[3] / "data" / "logs"


def test_lines_of_caffe_1_0():
    log = read(LOGS / "caffe_1_0.log")
    assert log.train == [
        TrainPoint(0, 2.5, 0.01),
        TrainPoint(100, 1e-05, 0.001, 12.5),
    ]
    assert log.tests == [
        TestPoint(0, 0, {"loss": 2.31, "top-1": 0.1}, {"loss"}),
        TestPoint(100, 1, {"per_class": [0.5, 0.75, 1.0]}),
    ]


def test_lines_of_2014():
    log = read(LOGS / "bvlc_2014.log")
    assert log.train == [TrainPoint(100, 1.73, 0.001), TrainPoint(200, 1.51, 0.0001)]
    assert log.tests == [
        TestPoint(0, 0, {"score0": 0.1025, "score1": 2.3026}),
        TestPoint(200, 0, {"score0": 0.5504, "score1": 1.278}),
    ]


def test_a_continued_run_is_one_curve():
    log = read(LOGS / "bvlc_2016_continued.log")
    assert log.train == [
        TrainPoint(0, 6.25, 0.01),
        TrainPoint(50, 3.5, 0.01),
        TrainPoint(100, 2.7, 0.005),
        TrainPoint(150, 2.2, 0.0005),
        TrainPoint(200, 2.125),
    ]
    losses = {"loss1/loss1"}
    assert [(test.iteration, test.losses) for test in log.tests] == [
        (0, losses),
        (100, losses),
        (200, losses),
    ]
    assert [test.outputs["loss3/top-1"] for test in log.tests] == [
        0.0625,
        0.4375,
        0.625,
    ]
    assert [test.outputs["loss1/loss1"] for test in log.tests] == [2.4, 1.8, 1.5]


def test_what_a_continued_run_repeats_is_dropped_at_once():
    lines = [
        *(f"Iteration {i}, loss = 1" for i in (10, 12, 14)),
        "Iteration 15, Testing net (#0)",
        "Iteration 15, Testing net (#1)",
    ]
    log = parse([*lines, "Iteration 12, Testing net (#0)"])
    assert [point.iteration for point in log.train] == [10, 12]
    assert log.tests == [TestPoint(12, 0)]
    log = parse([*lines, "Iteration 12, loss = 2"])
    assert log.train == [TrainPoint(10, 1.0), TrainPoint(12, 2.0)]
    assert not log.tests


def test_a_new_run_in_the_same_log_replaces_the_old():
    texts = [
        (LOGS / name).read_text()
        for name in ("bvlc_2016_continued.log", "nvidia_detection.log")
    ]
    new = read(LOGS / "nvidia_detection.log")
    assert parse("".join(texts).splitlines()) == new


def test_lines_of_nvidia():
    log = read(LOGS / "nvidia_0_17.log")
    assert log.train == [
        TrainPoint(0, 7.25, 0.5),
        TrainPoint(1, 7.125),
        TrainPoint(2, 7.0),
        TrainPoint(100, 6.5, 0.25, 2.25),
        TrainPoint(200, 6.0, 0.125, 1.75),
    ]
    assert log.tests == [
        TestPoint(0, 0, {"loss": 6.91, "top-5": 0.0078125}, {"loss"}),
        TestPoint(200, 0, {"loss": 6.25, "top-5": 0.125}, {"loss"}),
    ]
    log = read(LOGS / "nvidia_detection.log")
    assert log.train == [TrainPoint(0, 24.5), TrainPoint(50, 9.75, 0.0001, 2.5)]
    assert log.tests == [TestPoint(0, 0, {"detection_eval": 0.0625})]


def test_of_several_processes_the_first_counts():
    log = read(LOGS / "intel_mpirun.log")
    assert log.train == [
        TrainPoint(0, 7.125, 0.2),
        TrainPoint(5, 6.75, 0.4),
        TrainPoint(10, 6.5, 0.6),
    ]
    assert log.tests == [TestPoint(0, 0, {"loss": 7.06, "accuracy": 0.001}, {"loss"})]


def test_a_log_of_windows_without_prefixes_that_ends_within_a_number():
    log = read(LOGS / "windows_no_prefix.log")
    assert log.train[:2] == [
        TrainPoint(0, 0.875, 0.01),
        TrainPoint(1000, math.inf, 0.01, 250.0),
    ]
    (last,) = log.train[2:]
    assert math.isnan(last.loss)
    assert (last.iteration, last.lr, last.iterations_per_s) == (2000, 0.01, 500.0)
    assert log.tests == [TestPoint(0, 0, {"accuracy": 0.5, "loss": 0.75}, {"loss"})]


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "    ",
        "I20240817 10:11:12.345678 4242 solver.cpp:218] ",  # glog since 0.6
        "I0817 10:11:12.345678 0x7fff7a solver.cpp:218] ",  # glog on macOS
        "[1,0]<stderr>:I0817 10:11:12.345678    42 solver.cpp:218] ",
        "2024-08-17T10:11:12.345678901Z stderr F I0817 10:11:12.345678 1 a.cpp:9] ",
        "2016-08-17 10:11:12 [20160817-101112-abcd] [INFO ] ",
    ],
)
@pytest.mark.parametrize(
    ("loss", "value"),
    [("-nan", math.nan), ("-inf", -math.inf), ("1e-05", 1e-5), ("1.5e+030", 1.5e30)],
)
def test_prefixes_and_numbers(prefix, loss, value):
    lines = [
        f"{prefix}Iteration 20, Testing net (#1)",
        f"{prefix}    Test net output #0: top-1 = 0.25",
        f"{prefix}Iteration 20 (0.1 iter/s, 200s/20 iters), loss = {loss}",
        f"{prefix}Iteration 20, lr = 3e-04",
    ]
    log = parse(lines)
    (point,) = log.train
    assert point.loss == pytest.approx(value, rel=0, nan_ok=True)
    assert (point.iteration, point.lr, point.iterations_per_s) == (20, 0.0003, 0.1)
    assert log.tests == [TestPoint(20, 1, {"top-1": 0.25})]


@given(st.lists(st.text(), max_size=20))
def test_other_text_is_ignored(lines):
    log = parse(lines)
    assert not log.train
    assert not log.tests


@given(st.lists(st.sampled_from((LOGS / "nvidia_0_17.log").read_text().split(" "))))
def test_pieces_of_a_log_do_no_harm(words):
    log = parse([" ".join(words)])
    assert len(log.train) + len(log.tests) <= 1


def test_text_beside_the_lines_is_no_point():
    lines = [
        "Iteration 7: the loss is nan, expected a finite number",
        "MultiStep Status: Iteration 9, step = 1",
        "Iteration: 3 forward-backward time: 5 ms.",
        "iter 4, forward_backward_update_time: 1 ms",
        f"Iteration {'9' * 5000}, loss = 1",
        "    Test net output #0: top-1 = 0.5",
    ]
    log = parse(lines)
    assert not log.train
    assert not log.tests


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name: 'net'\nlayer { type: 'Data' }\n",
        b"Iteration 100, loss = 1.5",  # may be cut
        bytes(range(256)) * 2000,
        b"Iteration 1 (" * 100_000,
    ],
)
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "other.log"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.log' has no line such as 'Iteration"):
        read(path)


def test_a_long_line_is_not_kept(tmp_path):
    path = tmp_path / "zeros"
    with path.open("wb") as file:
        file.truncate(20 << 20)
    tracemalloc.start()
    with pytest.raises(ValueError, match="zeros"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
