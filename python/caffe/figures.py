"""Figures of Matplotlib as files, without a display."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caffe.extras import missing
from caffe.files import write_atomically

_DPI = 120


def new_figure(width: float, height: float) -> Any:
    """An empty figure of Matplotlib's, so many inches large.

    Raises:
        ImportError: Matplotlib is missing; the message says how to get it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(missing("matplotlib", "drawing", "plot")) from None
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure of Matplotlib's in the format that the file's ending names.

    Raises:
        ValueError: Matplotlib does not write such files.
        OSError: The file cannot be written; the message is a sentence.
    """
    kind = path.suffix[1:] or "png"
    write_atomically(path, lambda file: figure.savefig(file, dpi=_DPI, format=kind))
