"""Error against parameters of the networks of Table 2, as in the paper's Figure 2.

Needs matplotlib, of the extra `plot`.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sknet.extras import missing
from sknet.tables import TABLE_2

_DEPTH = re.compile(r"-\d+")
# The paper's own family stands out; the others share the rest.
_OWN = "SKNet"


@dataclass(frozen=True)
class Point:
    """One network.

    Attributes:
        name: As Table 2 calls it.
        family: The name without the depth; its points are joined.
        params_m: The paper's count of parameters in millions.
        error: The paper's top-1 error in percent.
        measured: Ours, if it was measured.
    """

    name: str
    family: str
    params_m: float
    error: float
    measured: float | None

    @property
    def depth(self) -> str:
        """The number in the name, such as `50`."""
        match = _DEPTH.search(self.name)
        return match[0][1:] if match else ""


def points(
    crop: str, measured: Mapping[str, Mapping[str, float]] | None = None
) -> list[Point]:
    """The networks that have an error for this crop, "224" or "320".

    Args:
        crop: Column of errors.
        measured: Our errors by network and crop, see `sknet.tables.measured_errors`.
    """
    found = []
    for row in TABLE_2:
        error = row.errors[crop]
        if error is not None:
            ours = (measured or {}).get(row.name, {}).get(crop)
            family = _DEPTH.sub("", row.name)
            found.append(Point(row.name, family, row.params_m, error, ours))
    return found


def plot(found: list[Point], crop: str, path: Path) -> None:
    """Draws the points into an image; ours as rings."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(missing("matplotlib", "drawing", "plot")) from None
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    families: dict[str, list[Point]] = {}
    for point in found:
        families.setdefault(point.family, []).append(point)
    # C3 is red.
    others = itertools.cycle(f"C{index}" for index in (0, 1, 2, 4, 5, 6, 7, 8, 9))
    for family, members in families.items():
        own = family == _OWN
        colour = "tab:red" if own else next(others)
        members.sort(key=lambda point: point.params_m)
        axes.plot(
            [point.params_m for point in members],
            [point.error for point in members],
            color=colour,
            marker="*" if own else "o",
            markersize=13 if own else 6,
            linewidth=1.8 if own else 1.0,
            zorder=3 if own else 2,
            label=family,
        )
        for point in members:
            axes.annotate(
                point.depth,
                (point.params_m, point.error),
                xytext=(6, 6),
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )
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
    axes.legend(fontsize=9)
    figure.savefig(path, dpi=120)


def write_table(found: list[Point], path: Path) -> None:
    """Writes the points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("model", "params_m", "error_percent", "measured_percent"))
        for point in found:
            ours = "" if point.measured is None else point.measured
            writer.writerow((point.name, point.params_m, point.error, ours))
