"""`sknet scatter`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sknet.cli.tables import add_measured

_CROPS = ("224", "320")


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "scatter",
        help="plot error against parameters of the networks of Table 2",
        description="Plots the top-1 error against the number of parameters of the "
        "networks of the paper's Table 2, like its Figure 2.",
    )
    command.set_defaults(run=_scatter)
    command.add_argument(
        "--crop",
        choices=_CROPS,
        default="224",
        help="errors of centre crops of this size (224); the Inception nets' 320 are "
        "of 299",
    )
    add_measured(command, "drawn as rings")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("scatter.png"),
        metavar="FILE",
        help="image to write (scatter.png)",
    )
    command.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the points as CSV"
    )


def _scatter(arguments: argparse.Namespace) -> None:
    from sknet.paper.scatter import plot, points, write_table
    from sknet.paper.tables import read_measured

    measured = read_measured(arguments.measured)
    found = points(arguments.crop, measured)
    plot(found, arguments.crop, arguments.output)
    if arguments.csv:
        write_table(found, arguments.csv)
    for record in measured:
        if record.row is None and record.learned_params is None:
            print(f"note: net '{record.net}' is left out, its size is not known")
        elif record.crop not in _CROPS:
            print(
                f"note: net '{record.net}' at {record.crop} is left out, expected "
                f"crops of {' or '.join(_CROPS)}"
            )
    print(f"{len(found)} networks in {arguments.output}")
