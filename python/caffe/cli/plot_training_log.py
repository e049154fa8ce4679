"""`caffe plot_training_log`: charts of training logs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from caffe.cli.flags import UsageError, Values
from caffe.cli.program import Program
from caffe.figures import new_figure, save_figure
from caffe.training_log import Point, Row, Tables, read

_SUFFIX = ".log"
_FIELDS = ("Test accuracy", "Test loss", "Train learning rate", "Train loss")
_AXES = ("Iters", "Seconds")
# By their numbers, in Caffe's order.
CHARTS = tuple((field, axis) for field in _FIELDS for axis in _AXES)


def run(flags: Values, words: list[str]) -> int:
    """Draws a chart of one or several logs."""
    number, picture, *logs = words
    if number not in map(str, range(len(CHARTS))):
        raise UsageError(
            f"got chart type '{number}', expected one of 0 to {len(CHARTS) - 1}"
        )
    if Path(picture).suffix != ".png":
        raise UsageError(f"got '{picture}', expected a file that ends in .png")
    for log in logs:
        if not log.endswith(_SUFFIX):
            raise UsageError(f"got '{log}', expected a log that ends in {_SUFFIX}")
    field, axis = CHARTS[int(number)]
    curves = [
        (Path(log).name.removesuffix(_SUFFIX), points(read(Path(log)), field))
        for log in logs
    ]
    without = [name for name, found in curves if not found]
    if without:
        raise ValueError(
            f"there is no {field.lower()} in {without[0]}{_SUFFIX}; expected the log "
            f"of a training {_CURES[field]}"
        )
    save_figure(draw(curves, field, axis), Path(picture))
    return 0


_CURES = {
    "Test accuracy": "with a test net whose first output is one, and a test_interval",
    "Test loss": "with a test net that has a loss, and a test_interval",
    "Train learning rate": "with a display",
    "Train loss": "with a display",
}


def points(tables: Tables, field: str) -> list[Point]:
    """What a log has of a quantity, in the log's order."""
    if field == "Train loss":
        return tables.losses
    if field == "Train learning rate":
        return tables.rates
    found = []
    for row in tables.test:
        name = _output(row, field == "Test loss")
        if name is not None:
            found.append(Point(row.iteration, row.seconds, row.outputs[name]))
    return found


def _output(row: Row, loss: bool) -> str | None:
    """The first output that enters the loss, or does not."""
    # Differs from BVLC: outputs 0 and 1 were taken for accuracy and loss.
    return next((name for name in row.outputs if (name in row.losses) == loss), None)


def draw(curves: list[tuple[str, list[Point]]], field: str, axis: str) -> Any:
    """The chart as a figure of Matplotlib's."""
    figure = new_figure(8, 5)
    axes = figure.subplots()
    for label, found in curves:
        axes.plot(
            [point.iteration if axis == "Iters" else point.seconds for point in found],
            # Matplotlib leaves a gap for what is no number, not for an infinity.
            [p.value if math.isfinite(p.value) else math.nan for p in found],
            label=label,
            linewidth=0.75,
            marker="o",
            markersize=3,
        )
    axes.set_title(f"{field}  vs. {axis}")
    axes.set_xlabel(axis)
    axes.set_ylabel(field)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="lower right" if "accuracy" in field else "upper right")
    return figure


PROGRAM = Program(
    "plot_training_log",
    "draw a chart of the logs of trainings",
    "CHART_TYPE PICTURE.png FIRST.log ...",
    "Draws one quantity of each log into a picture. Chart types:\n\n"
    + "\n".join(
        f"  {number}: {field}  vs. {axis}"
        for number, (field, axis) in enumerate(CHARTS)
    )
    + "\n\nOf a test net, the accuracy is the first output that enters no loss, the "
    "loss the first\nthat does. Needs Matplotlib.",
    (),
    run,
)
