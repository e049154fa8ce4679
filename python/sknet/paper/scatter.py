"""Error against parameters of the networks of Table 2, as in the paper's Figure 2.

Needs matplotlib, of the extra `plot`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe.figures import new_figure, save_figure
from sknet.files import write_csv
from sknet.paper.tables import TABLE_2, Measured, measured_errors

_DEPTH = re.compile(r"-\d+")
# Names of nets of this family, as Table 2 writes them: sknet26 is SKNet-26.
_NAMES = re.compile(r"^sknet(\d+).*")
# The paper's own family stands out; the others share the rest.
_OWN = "SKNet"
# Radius of a mark with its ring, and distances of the labels from the points, in
# typographic points; the directions in which they are tried, upwards first.
_MARK = 6
_NEAR = 10
_DISTANCES = (6, 8, 10, 14, 18, 24, 30, 40, 50, 60)
_DIRECTIONS = [
    np.array((math.sin(turn), math.cos(turn)))
    for turn in (math.pi * eighth / 8 for eighth in (1, -1, 3, -3, 7, -7, 5, -5, 0, 8))
]
_MARGIN = 2  # of the frame; and half of it around a label


@dataclass(frozen=True)
class Point:
    """One network.

    Attributes:
        name: As Table 2 calls it.
        family: The name without the depth; its points are joined.
        params_m: The paper's count of parameters in millions, ours of other nets.
        error: The paper's top-1 error in percent; None of nets that Table 2 has not.
        measured: Ours, if it was measured.
    """

    name: str
    family: str
    params_m: float
    error: float | None
    measured: float | None

    @property
    def depth(self) -> str:
        """The number in the name, such as `50`."""
        match = _DEPTH.search(self.name)
        return match[0][1:] if match else ""


def points(crop: str, measured: Sequence[Measured] = ()) -> list[Point]:
    """The networks that have an error for this crop, "224" or "320".

    Args:
        crop: Column of errors.
        measured: Our results, see `tables.read_measured`. Those of nets that Table 2
            has not, such as SKNet-26, are points of their own.
    """
    errors = measured_errors(measured)
    found = []
    for row in TABLE_2:
        error = row.errors[crop]
        if error is not None:
            ours = errors.get(row.name, {}).get(crop)
            found.append(Point(row.name, _family(row.name), row.params_m, error, ours))
    others = {r.net: r for r in measured if r.row is None and r.crop == crop}
    for net, record in others.items():
        if record.learned_params is not None:
            name = _NAMES.sub(r"SKNet-\1", net)
            params_m = record.learned_params / 1e6
            found.append(Point(name, _family(name), params_m, None, record.error))
    return found


def _family(name: str) -> str:
    return _DEPTH.sub("", name)


def plot(found: list[Point], crop: str, path: Path) -> None:
    """Draws the points into an image; ours as rings."""
    save_figure(draw(found, crop), path)


def draw(found: list[Point], crop: str) -> Any:
    """The figure that `plot` writes."""
    figure = new_figure(8, 5.5)
    axes = figure.subplots()
    families: dict[str, list[Point]] = {}
    for point in found:
        families.setdefault(point.family, []).append(point)
    labels: list[tuple[Point, str]] = []
    # C3 is red.
    others = itertools.cycle(f"C{index}" for index in (0, 1, 2, 4, 5, 6, 7, 8, 9))
    for family, members in families.items():
        own = family == _OWN
        colour = "tab:red" if own else next(others)
        members.sort(key=lambda point: point.params_m)
        axes.plot(
            [point.params_m for point in members if point.error is not None],
            [point.error for point in members if point.error is not None],
            color=colour,
            marker="*" if own else "o",
            markersize=13 if own else 6,
            linewidth=1.8 if own else 1.0,
            zorder=3 if own else 2,
            label=family,
        )
        for point in members:
            labels.append((point, colour))
            if point.measured is not None:
                axes.plot(
                    point.params_m,
                    point.measured,
                    color=colour,
                    marker="o",
                    markersize=11,
                    fillstyle="none",
                    linestyle="",
                    zorder=4,
                )
    if any(point.measured is not None for point in found):
        axes.plot([], [], "o", color="0.3", fillstyle="none", ms=11, label="measured")
    axes.set_xlabel("parameters, millions")
    axes.set_ylabel(f"top-1 error at {crop}x{crop}, %")
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.margins(0.07)
    # Where bad large nets would be. Matplotlib warns if its "best" place takes long.
    axes.legend(fontsize=9, loc="upper right")
    _place_labels(figure, axes, labels)
    return figure


def _place_labels(figure: Any, axes: Any, labels: list[tuple[Point, str]]) -> None:
    """Writes the depths beside the points, each where it covers nothing else.

    Everything else has to be there: places are pixels, which move with the layout.
    """
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    pixels = figure.dpi / 72  # of a typographic point
    marks = [
        axes.transData.transform((point.params_m, error))
        for point, _ in labels
        for error in (point.error, point.measured)
        if error is not None
    ]
    radius = _MARK * pixels
    taken = [axes.get_legend().get_window_extent()]
    taken += [Bbox.from_extents(*(at - radius), *(at + radius)) for at in marks]
    inside = axes.get_window_extent().padded(-_MARGIN * pixels)
    for point, colour in sorted(labels, key=lambda item: item[0].params_m):
        error = point.error if point.error is not None else point.measured
        assert error is not None
        at = axes.transData.transform((point.params_m, error))
        text = axes.annotate(
            point.depth or point.name,
            (point.params_m, error),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5},
        )
        half = np.array(text.get_window_extent().size) / 2 + _MARGIN / 2 * pixels
        for distance, direction in itertools.product(_DISTANCES, _DIRECTIONS):
            offset = (distance * pixels + half) * direction
            box = Bbox.from_extents(*(at + offset - half), *(at + offset + half))
            in_frame = inside.contains(*box.min) and inside.contains(*box.max)
            if in_frame and not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
        text.xyann = offset / pixels
        # A line tells whose it is where others are nearer.
        text.arrow_patch.set_visible(distance > _NEAR)


def write_table(found: list[Point], path: Path) -> None:
    """Writes the points as CSV."""
    header = ("model", "params_m", "error_percent", "measured_percent")
    rows = ((p.name, p.params_m, p.error, p.measured) for p in found)
    write_csv(path, header, rows)
