"""`sknet train-curve`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from sknet.text import table


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "train-curve",
        help="plot the losses, errors and rates of training logs",
        description="Reads what `caffe train` printed, here or in another Caffe "
        "(BVLC's since 2014, NVIDIA's, Intel's), prints a line for each curve, and "
        "plots the losses, the errors of the test nets (1 - output, for outputs from 0 "
        "to 1) and the learning rates, each log in a colour. If a log's run went on "
        "from a snapshot, the iterations that it repeated count once.",
    )
    command.set_defaults(run=_train_curve)
    command.add_argument(
        "logs", nargs="+", type=Path, metavar="LOG", help="log of one run"
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="image to write, its format by its ending (train_curve.png; none if --csv "
        "or --json is given without it)",
    )
    command.add_argument("--title", default="", help="title of the image")
    command.add_argument(
        "--csv", type=Path, metavar="FILE", help="write all points as CSV"
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write all points as JSON"
    )


def _train_curve(arguments: argparse.Namespace) -> None:
    from sknet.training.curve import curves, plot, write_csv, write_json
    from sknet.training.log import read

    runs = {name: read(path) for name, path in _names(arguments.logs).items()}
    rows = []
    for run, log in runs.items():
        for tag, curve in curves(log).items():
            finite = list(filter(math.isfinite, curve.values))
            ends = (f"{min(finite):g}", f"{max(finite):g}") if finite else ("", "")
            last = f"{curve.iterations[-1]}", f"{curve.values[-1]:g}"
            rows.append((run, tag, f"{len(curve.values)}", *ends, *last))
    print(
        table(("log", "curve", "points", "lowest", "highest", "last at", "last"), rows)
    )
    output = arguments.output
    if output is None and not arguments.csv and not arguments.json:
        output = Path("train_curve.png")
    if output:
        plot(runs, output, arguments.title)
    if arguments.csv:
        write_csv(runs, arguments.csv)
    if arguments.json:
        write_json(runs, arguments.json)
    for path in filter(None, (output, arguments.csv, arguments.json)):
        print(f"wrote {path}")


def _names(paths: list[Path]) -> dict[str, Path]:
    """The logs by what they are called: file names, or paths if these are the same."""
    short = [path.name for path in paths]
    names = short if len(set(short)) == len(paths) else [str(path) for path in paths]
    if len(set(names)) < len(paths):
        raise ValueError("a log is given twice; give each once")
    return dict(zip(names, paths, strict=True))
