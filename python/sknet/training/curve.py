"""The curves of training logs: loss, error and rate over the iterations.

Plots need matplotlib, of the extra `plot`.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe.figures import new_figure, save_figure
from caffe.files import write_atomically
from sknet import files
from sknet.training.log import TrainingLog

_LOSS, _ERROR, _RATE = "loss", "error, %", "learning rate"
# The panels from top to bottom, with their heights in inches.
_PANELS = {_LOSS: 2.8, _ERROR: 2.8, _RATE: 1.4}
_STYLES = ("-", "--", ":", "-.")


@dataclass
class Curve:
    """One quantity of a run.

    Attributes:
        name: Of the blob, for an output of a test net.
        net: Number of the test net; None for what belongs to training.
        loss: Whether it enters the loss.
        single: Whether its blob has no other values.
        iterations: Where it is known.
        values: What it is there.
    """

    name: str
    net: int | None = None
    loss: bool = False
    single: bool = True
    iterations: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, iteration: int, value: float) -> None:
        """Appends a point."""
        self.iterations.append(iteration)
        self.values.append(value)

    @property
    def panel(self) -> str | None:
        """Where it is drawn; the others are only written."""
        if self.net is None:
            return {"loss": _LOSS, "lr": _RATE}.get(self.name)
        if self.loss:
            return _LOSS
        # The log does not mark accuracies, but they are from 0 to 1.
        if self.single and all(0 <= value <= 1 for value in self.values):
            return _ERROR
        return None

    @property
    def label(self) -> str:
        """What a legend calls it beside the name of the run."""
        if self.net is None:
            return "training" if self.name == "loss" else self.name
        name = f"test {self.name}" if self.loss else self.name
        return f"{name} of net {self.net}" if self.net else name


def curves(log: TrainingLog) -> dict[str, Curve]:
    """The curves of a log, by the names that `caffe train -tensorboard` gives them.

    `train/loss` is the smoothed loss, `test0/1_top-5` is output #1 of test net #0.
    """
    found: dict[str, Curve] = {}
    for point in log.train:
        for name in ("loss", "lr", "iterations_per_s"):
            value = getattr(point, name)
            if value is not None:
                curve = found.setdefault(f"train/{name}", Curve(name))
                curve.add(point.iteration, value)
    for test in log.tests:
        number = itertools.count()
        for name, output in test.outputs.items():
            values = output if isinstance(output, list) else [output]
            for value in values:
                tag = f"test{test.net}/{next(number)}_{name}"
                loss, single = name in test.losses, len(values) == 1
                curve = found.setdefault(tag, Curve(name, test.net, loss, single))
                curve.add(test.iteration, value)
    return found


def write_csv(runs: Mapping[str, TrainingLog], path: Path) -> None:
    """Writes a row for each point of each curve of each run."""
    rows = (
        (run, tag, *point)
        for run, log in runs.items()
        for tag, curve in curves(log).items()
        for point in zip(curve.iterations, curve.values, strict=True)
    )
    files.write_csv(path, ("log", "curve", "iteration", "value"), rows)


def write_json(runs: Mapping[str, TrainingLog], path: Path) -> None:
    """Writes the curves as `{run: {curve: [[iteration, value], ...]}}`.

    JSON has no infinities: values that are no finite numbers become null.
    """
    record = {
        run: {
            tag: [
                [iteration, value if math.isfinite(value) else None]
                for iteration, value in zip(curve.iterations, curve.values, strict=True)
            ]
            for tag, curve in curves(log).items()
        }
        for run, log in runs.items()
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")


def plot(runs: Mapping[str, TrainingLog], path: Path, title: str = "") -> None:
    """Draws the runs into an image, each in a colour.

    One above the other, as far as the logs have them: the losses of training and tests,
    100 (1 - accuracy) of the tests, and the learning rate. Crosses at the upper edge
    are losses that are no finite numbers, or far above those of training.

    Raises:
        ValueError: There is nothing to draw.
    """
    found = [
        (run if len(runs) > 1 else "", f"C{number % 10}", curve)
        for number, (run, log) in enumerate(runs.items())
        for curve in curves(log).values()
    ]
    members = {
        panel: [entry for entry in found if entry[2].panel == panel]
        for panel in _PANELS
    }
    if not any(members.values()):
        raise ValueError(
            f"there is nothing to draw in {', '.join(runs)}: no loss, learning rate or "
            "output with one value from 0 to 1"
        )
    heights = [_PANELS[panel] for panel in _PANELS if members[panel]]
    figure = new_figure(8, 1 + sum(heights))
    column = figure.subplots(
        len(heights), sharex=True, squeeze=False, height_ratios=heights
    )[:, 0]
    for axes, panel in zip(column, filter(members.get, _PANELS), strict=True):
        _draw(axes, panel, members[panel])
    column[-1].set_xlabel("iteration")
    if title:
        figure.suptitle(title)
    save_figure(figure, path)


def _draw(axes: Any, panel: str, members: Sequence[tuple[str, str, Curve]]) -> None:
    """Draws curves, each with the name of its run and a colour, into one panel."""
    styles: dict[str, str] = {}
    top = _top(curve for *_, curve in members)
    for run, colour, curve in members:
        values = curve.values
        if panel == _ERROR:
            values = [100 * (1 - value) for value in values]
        points = curve.net is not None or len(values) == 1
        axes.plot(
            *(curve.iterations, values),
            label=", ".join(filter(None, (run, curve.label))),
            color=colour,
            linestyle=styles.setdefault(curve.label, _STYLES[len(styles) % 4]),
            linewidth=1,
            marker="o" if points else "",
            markersize=3,
            drawstyle="steps-post" if panel == _RATE else "default",
        )
        lost = [
            iteration
            for iteration, value in zip(curve.iterations, values, strict=True)
            if not math.isfinite(value) or (panel == _LOSS and value > top)
        ]
        edge = axes.get_xaxis_transform()
        axes.plot(lost, [0.97] * len(lost), "x", color=colour, transform=edge)
    axes.set_ylabel(panel)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    if panel == _RATE:
        if any(value > 0 for *_, curve in members for value in curve.values):
            axes.set_yscale("log")
        return
    if axes.dataLim.ymin >= 0:
        axes.set_ylim(bottom=0)
    if panel == _LOSS and axes.dataLim.ymax > top:
        axes.set_ylim(top=top)
    axes.legend(fontsize=8)


def _top(members: Iterable[Curve]) -> float:
    """A loss up to which an axis goes, infinite without losses of training.

    Tests before the batch norms' statistics have settled can be far above all others.
    """
    losses = [v for curve in members if curve.net is None for v in curve.values]
    largest = max(filter(math.isfinite, losses), default=math.inf)
    return 1.5 * largest if largest > 0 else math.inf
