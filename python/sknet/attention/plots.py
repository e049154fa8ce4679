"""Draws the attention as the paper does, and writes its numbers.

Needs matplotlib, of the extra `plot`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe.figures import new_figure, save_figure
from sknet.attention.analysis import Attention, ImageAttention
from sknet.attention.units import Unit, last_of_stages
from sknet.files import write_csv

Array = npt.NDArray[Any]

# The paper's: frames, curves and bars of 1.0x, 1.5x and 2.0x; then others.
_COLOURS = ("tab:blue", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink")
_BARS = ("lightskyblue", "lightgreen", "lightcoral", "plum", "tan", "pink")
_LINES = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")
# Curves are means over this many neighbouring channels, as in the paper.
CHANNELS = 16
# Classes in a point of the lines are chosen so that there are about this many.
_POINTS = 100
# Up to this many classes have their names below the plot, cut to so many characters; a
# line takes about 100 of them.
_NAMED = 40
_LONGEST_NAME = 24
_CHARACTERS = 90
MAX_SCALES = len(_COLOURS)


def grouped(values: Array, size: int) -> tuple[Array, Array]:
    """Means over `size` neighbours of the last axis, leaving out NaN.

    Returns:
        First index of each group, and the means (..., groups).
    """
    starts = np.arange(0, values.shape[-1], size)
    present = np.add.reduceat(~np.isnan(values), starts, axis=-1)
    sums = np.add.reduceat(np.nan_to_num(values), starts, axis=-1)
    with np.errstate(invalid="ignore"):
        means: Array = sums / present
    return starts, means


def plot_image(attention: Attention, image: ImageAttention, path: Path) -> None:
    """Thumbnails, curve and bars of one image."""
    figure = new_figure(10, 4.2)
    # The thumbnails share the left half with the curve below them.
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 1.5))
    small = grid[0, 0].subgridspec(1, len(attention.scales), wspace=0.05)
    for index, scale in enumerate(attention.scales):
        axes = figure.add_subplot(small[index])
        # Blue first, and channels first.
        levels = image.crops[index][::-1].transpose(1, 2, 0)
        axes.imshow(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
        axes.set(xticks=[], yticks=[])
        axes.set_title(_times(scale), fontsize=9, pad=4)
        for side in axes.spines.values():
            side.set(color=_COLOURS[index], linewidth=3)
    _draw_curve(figure.add_subplot(grid[1, 0]), attention, image.curve)
    _draw_bars(figure.add_subplot(grid[:, 1]), attention, image.differences)
    save_figure(figure, path)


def plot_average(attention: Attention, path: Path) -> None:
    """Curve and bars of the mean over all images."""
    figure = new_figure(10, 3.4)
    left, right = figure.subplots(1, 2)
    _draw_curve(left, attention, attention.curve)
    _draw_bars(right, attention, attention.differences)
    figure.suptitle(f"mean over {int(attention.count.sum()):,} images", fontsize=10)
    save_figure(figure, path)


def plot_classes(attention: Attention, path: Path, names: Sequence[str]) -> None:
    """Mean difference by class: a panel for an early, a middle and the last stage.

    Args:
        attention: From `analyse`.
        path: Image to write.
        names: Of the classes, which are written below the panels if few have images.
    """
    save_figure(classes_figure(attention, names), path)


def classes_figure(attention: Attention, names: Sequence[str]) -> Any:
    """What `plot_classes` writes."""
    last = last_of_stages(attention.units)
    shown = [*last[:2], last[-1]] if len(last) > 3 else last
    seen = np.flatnonzero(attention.count).tolist()
    few = len(seen) <= _NAMED
    labels = [_shortened(names[label]) for label in seen] if few else []
    # Names stand upright where they would meet.
    upright = len(labels) * max(map(len, labels), default=0) > _CHARACTERS
    figure = new_figure(9, 2.2 * len(shown) + 0.4)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    size = 1 if few else max(1, round(len(attention.count) / _POINTS))
    for axes, unit in zip(panels, shown, strict=True):
        place = attention.units.index(unit)
        for index, scale in enumerate(attention.scales):
            values = attention.class_differences[index, place]
            starts, means = grouped(values[seen] if few else values, size)
            axes.plot(
                starts,
                means,
                color=_LINES[index],
                linewidth=1.2,
                marker="o" if few else "",
                markersize=3,
                label=_times(scale),
            )
        axes.set_title(unit.name, fontsize=10)
        low, high = axes.get_ylim()
        if low < 0 < high:
            axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        axes.margins(x=0.02)
    panels[0].legend(fontsize=8, ncols=len(attention.scales), loc="best")
    if few:
        panels[-1].set_xticks(
            range(len(seen)), labels, fontsize=8, rotation=90 if upright else 0
        )
    panels[-1].set_xlabel("class" if few else f"class index (means of {size} classes)")
    kernels = _kernels(shown[0])
    figure.supylabel(f"mean attention difference ({kernels})", fontsize=10)
    return figure


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "\u2026"


def _times(scale: float) -> str:
    text = f"{scale:g}"
    return f"{text}x" if "." in text else f"{text}.0x"


def _kernels(unit: Unit) -> str:
    return f"kernel {unit.last_kernel} \N{MINUS SIGN} {unit.first_kernel}"


def _draw_curve(axes: Any, attention: Attention, curve: Array) -> None:
    starts, means = grouped(curve, CHANNELS)
    for index, scale in enumerate(attention.scales):
        axes.plot(
            starts,
            means[index],
            color=_COLOURS[index],
            linewidth=1.4,
            marker="o",
            markersize=2.5,
            label=_times(scale),
        )
    unit = attention.curve_unit
    axes.set_title(
        f"attention for {unit.last_kernel} kernel in {unit.name}", fontsize=10
    )
    axes.set_xlabel(f"channel index (means of {CHANNELS})")
    axes.set_ylabel("activation")
    channels = curve.shape[-1]
    axes.set_xticks(range(0, channels + 1, max(32, channels // 8)))
    axes.legend(fontsize=8)


def _draw_bars(axes: Any, attention: Attention, differences: Array) -> None:
    last = last_of_stages(attention.units)
    places = [attention.units.index(unit) for unit in last]
    width = 0.8 / len(attention.scales)
    for index, scale in enumerate(attention.scales):
        centre = np.arange(len(last)) + (index + 0.5) * width - 0.4
        axes.bar(
            centre,
            differences[index, places],
            width,
            color=_BARS[index],
            edgecolor="white",
            linewidth=0.5,
            label=_times(scale),
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(last)), [u.name.removeprefix("SK_") for u in last])
    axes.set_xlabel("SK unit")
    axes.set_title(f"mean attention difference ({_kernels(last[0])})", fontsize=10)
    axes.legend(fontsize=8)


def write_tables(
    attention: Attention, folder: Path, names: Sequence[str] | None
) -> list[Path]:
    """Writes the numbers behind the plots as CSV, one value a row.

    Args:
        attention: From `analyse`.
        folder: Where to.
        names: Of the classes; None if the labels mean nothing, and then there is no
            table of classes.

    Returns:
        The files: curves.csv, differences.csv and classes.csv. Image `mean` is the
        mean over all images.
    """
    images: list[tuple[str, Array, Array]] = [
        (str(number), image.curve, image.differences)
        for number, image in enumerate(attention.images)
    ]
    images.append(("mean", attention.curve, attention.differences))
    unit = attention.curve_unit
    curves = (
        (name, scale, unit.name, unit.last_kernel, start, f"{value:.6g}")
        for name, curve, _ in images
        for index, scale in enumerate(attention.scales)
        for start, value in zip(*grouped(curve[index], CHANNELS), strict=True)
    )
    differences = (
        (name, scale, unit.name, f"{values[index, place]:.6g}")
        for name, _, values in images
        for index, scale in enumerate(attention.scales)
        for place, unit in enumerate(attention.units)
    )
    tables: list[tuple[str, Sequence[str], Iterable[Sequence[Any]]]] = [
        (
            "curves.csv",
            ("image", "scale", "unit", "kernel", "first_channel", "activation"),
            curves,
        ),
        ("differences.csv", ("image", "scale", "unit", "difference"), differences),
    ]
    if names is not None:
        classes = (
            (label, name, attention.count[label], scale, unit.name, f"{value:.6g}")
            for label, name in enumerate(names)
            if attention.count[label]
            for index, scale in enumerate(attention.scales)
            for place, unit in enumerate(attention.units)
            for value in [attention.class_differences[index, place, label]]
        )
        header = ("label", "class", "images", "scale", "unit", "difference")
        tables.append(("classes.csv", header, classes))
    written = []
    for file_name, columns, rows in tables:
        path = folder / file_name
        write_csv(path, columns, rows)
        written.append(path)
    return written
