"""Reads the log of `caffe train`: losses, rates, test results.

These are the lines of this engine and of other Caffes:

    Iteration 100 (12.5 iter/s, 8s/100 iters), loss = 1.5           here, BVLC 1.0
    Iteration 100, loss = 1.5                                       older BVLC, Intel
    Iteration 100 (12.5 iter/s, 8s/100 iter), 1.3/90ep, loss = 1.5  NVIDIA
    Iteration 2 (0.8 s), 0/90ep, loss = 6.9                         NVIDIA's first ones
    Iteration 100, lr = 0.1           before the loss in 2014; NVIDIA adds to it
    Iteration 100, Testing net (#0)   no number in 2014
        Test net output #1: loss = 1.5 (* 1 = 1.5 loss)
    Test net output mAP #0: detection_eval = 0.7                    NVIDIA
    Test score #0: 0.5                                              BVLC in 2014

What stands in front of them, such as glog's prefix or the name of a device, is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from caffe.training_log import (
    ITERATION,
    NUMBER,
    is_of_another_rank,
    lines_of,
    value_of,
)

_TRAIN = re.compile(
    rf"{ITERATION}(?: \((?:{NUMBER} iter/s)?[^)]{{0,80}}\))?,"
    rf"(?: [\d.]{{1,20}}/[\d.]{{1,20}}ep,)? loss = {NUMBER}"
)
_RATE = re.compile(rf"{ITERATION}, lr = {NUMBER}")
_TESTING = re.compile(rf"{ITERATION}, Testing net(?: \(#(\d{{1,9}})\))?")
_OUTPUT = re.compile(
    rf"\bTest (?:net output (?:mAP )?#\d+: (\S+) =|score #(\d+):) {NUMBER}( \(\* )?"
)


@dataclass
class TrainPoint:
    """One displayed iteration; `lr` and `iterations_per_s` may be unknown."""

    iteration: int
    loss: float
    lr: float | None = None
    iterations_per_s: float | None = None


@dataclass
class TestPoint:
    """One test.

    Attributes:
        iteration: Number of updates before it.
        net: Number of the test net.
        outputs: Values of the output blobs, lists if they have several. Where the log
            has no names they are `score0` and so on.
        losses: Names of those that enter the loss.
    """

    __test__ = False  # not a class of tests

    iteration: int
    net: int
    outputs: dict[str, float | list[float]] = field(default_factory=dict)
    losses: set[str] = field(default_factory=set)


@dataclass
class TrainingLog:
    """What a run printed, in the order of its iterations.

    A run that was continued from a snapshot goes back some iterations; what it had
    printed about these before is dropped.
    """

    train: list[TrainPoint] = field(default_factory=list)
    tests: list[TestPoint] = field(default_factory=list)
    _lr: tuple[int, float] | None = field(default=None, repr=False)

    def add(self, line: str) -> None:
        """Takes one line; of several processes only those of the first, rank 0."""
        if "Iteration" not in line and "Test " not in line:
            return
        if is_of_another_rank(line):
            return
        if match := _TRAIN.search(line):
            self._add_train(match)
        elif match := _RATE.search(line):
            self._add_rate(int(match[1]), value_of(match[2]))
        elif match := _TESTING.search(line):
            self._add_test(int(match[1]), int(match[2] or 0))
        elif (match := _OUTPUT.search(line)) and self.tests:
            name = match[1] or f"score{match[2]}"
            _append(self.tests[-1].outputs, name, value_of(match[3]))
            if match[4]:
                self.tests[-1].losses.add(name)

    def _add_train(self, match: re.Match[str]) -> None:
        iteration, speed, loss = match.groups()
        point = TrainPoint(int(iteration), value_of(loss))
        # BVLC's first is any number. The log rounds: 0 is slower than it can show.
        if speed and point.iteration > 0:
            point.iterations_per_s = value_of(speed) or None
        if self._lr and self._lr[0] == point.iteration:
            point.lr = self._lr[1]
        while self.train and self.train[-1].iteration >= point.iteration:
            self.train.pop()
        while self.tests and self.tests[-1].iteration > point.iteration:
            self.tests.pop()
        self.train.append(point)
        self._lr = None

    def _add_rate(self, iteration: int, lr: float) -> None:
        if self.train and self.train[-1].iteration == iteration:
            self.train[-1].lr = lr
        else:
            self._lr = iteration, lr

    def _add_test(self, iteration: int, net: int) -> None:
        # The last test stands behind the last loss, all others before that of theirs.
        while self.train and self.train[-1].iteration > iteration:
            self.train.pop()
        while self.tests and (self.tests[-1].iteration, self.tests[-1].net) >= (
            iteration,
            net,
        ):
            self.tests.pop()
        self.tests.append(TestPoint(iteration, net))


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


def read(path: Path) -> TrainingLog:
    """Reads a log file.

    A last line without an end is left out: it may be cut within a number.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no log of a training.
    """
    log = parse(lines_of(path))
    if not log.train and not log.tests:
        raise ValueError(
            f"'{path}' has no line such as 'Iteration 100, loss = 1.5'; expected the "
            "log of `caffe train`"
        )
    return log
