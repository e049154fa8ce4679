"""The log parser, on lines as Caffe 1.0 and older releases print them."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sknet.training_log import TestPoint, TrainPoint, parse, plot

LOG = Path(__file__).parents[2] / "data" / "logs" / "caffe_1_0.log"
CAFFE_1_0 = LOG.read_text()


def test_lines_of_caffe_1_0():
    log = parse(CAFFE_1_0.splitlines(keepends=True))
    first, second = log.train
    assert (first.iteration, first.loss, first.lr) == (0, 2.5, 0.01)
    assert second == TrainPoint(100, 1e-05, 0.001, 12.5)
    assert log.tests == [
        TestPoint(0, 0, {"loss": 2.31, "top-1": 0.1}),
        TestPoint(100, 1, {"per_class": [0.5, 0.75, 1.0]}),
    ]


def test_lines_of_old_releases_and_diverged_runs():
    log = parse(
        [
            "I0101 00:00:00.000000     1 solver.cpp:189] Iteration 20, loss = nan",
            "I0101 00:00:00.000000     1 solver.cpp:464] Iteration 20, lr = 0.1",
        ]
    )
    (point,) = log.train
    assert math.isnan(point.loss)
    assert (point.iteration, point.lr, point.iterations_per_s) == (20, 0.1, None)


@given(st.lists(st.text(), max_size=20))
def test_other_text_is_ignored(lines):
    log = parse(lines)
    assert not log.train
    assert not log.tests


def test_plot_draws_both_curves(tmp_path):
    path = tmp_path / "curve.png"
    plot(parse(CAFFE_1_0.splitlines()), path, "a run")
    with Image.open(path) as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 20)}
    assert {(31, 119, 180), (214, 39, 40)} <= colors
