"""Reads the log of `caffe train`: losses, rates, test results.

Understands Caffe 1.0's lines and the shorter ones of older releases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf))"
_PREFIX = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.]+:\d+\] ")
_TRAIN = re.compile(
    rf"Iteration (\d+)(?: \({_NUMBER} iter/s, [^)]*\))?, loss = {_NUMBER}"
)
_RATE = re.compile(rf"Iteration (\d+), lr = {_NUMBER}")
_TESTING = re.compile(r"Iteration (\d+), Testing net \(#(\d+)\)")
_OUTPUT = re.compile(rf"\s*Test net output #\d+: (\S+) = {_NUMBER}")


@dataclass
class TrainPoint:
    """One displayed iteration; `lr` and `iterations_per_s` may be unknown."""

    iteration: int
    loss: float
    lr: float | None = None
    iterations_per_s: float | None = None


@dataclass
class TestPoint:
    """One test; `outputs` maps a blob to its value, a list if it has several."""

    __test__ = False  # not a class of tests

    iteration: int
    net: int
    outputs: dict[str, float | list[float]] = field(default_factory=dict)


@dataclass
class TrainingLog:
    """What a run printed, in order."""

    train: list[TrainPoint] = field(default_factory=list)
    tests: list[TestPoint] = field(default_factory=list)

    def add(self, line: str) -> TrainPoint | TestPoint | None:
        """Takes one line; the point that it started, if it did."""
        text = _PREFIX.sub("", line.rstrip("\n"), count=1)
        if match := _TRAIN.match(text):
            iteration, speed, loss = match.groups()
            point = TrainPoint(int(iteration), float(loss))
            # The log rounds: 0 means slower than it can show.
            point.iterations_per_s = float(speed or 0) or None
            self.train.append(point)
            return point
        if match := _TESTING.match(text):
            test = TestPoint(int(match[1]), int(match[2]))
            self.tests.append(test)
            return test
        if match := _RATE.match(text):
            if self.train and self.train[-1].iteration == int(match[1]):
                self.train[-1].lr = float(match[2])
        elif (match := _OUTPUT.match(text)) and self.tests:
            _append(self.tests[-1].outputs, match[1], float(match[2]))
        return None


def _append(outputs: dict[str, float | list[float]], name: str, value: float) -> None:
    known = outputs.get(name)
    if known is None:
        outputs[name] = value
    elif isinstance(known, list):
        known.append(value)
    else:
        outputs[name] = [known, value]


def parse(lines: Iterable[str]) -> TrainingLog:
    """Reads a whole log."""
    log = TrainingLog()
    for line in lines:
        log.add(line)
    return log


def plot(log: TrainingLog, path: Path, title: str, accuracy: str = "top-1") -> None:
    """Draws the training loss and the error on val (1 - `accuracy`) into an image.

    Needs matplotlib, which `pip install sknet-caffe[plot]` brings.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [point.iteration for point in log.train],
        [point.loss for point in log.train],
        color="tab:blue",
        linewidth=1,
    )
    axes.set(xlabel="iteration", title=title)
    axes.set_ylabel("training loss", color="tab:blue")
    axes.set_ylim(bottom=0)
    points = [
        (test.iteration, 100 * (1 - value))
        for test in log.tests
        if isinstance(value := test.outputs.get(accuracy), float)
    ]
    errors = axes.twinx()
    errors.plot(
        [iteration for iteration, _ in points],
        [error for _, error in points],
        color="tab:red",
        marker="o",
        markersize=3,
    )
    errors.set_ylabel(f"{accuracy} error on val, %", color="tab:red")
    errors.set_ylim(bottom=0)
    figure.savefig(path, dpi=120)
