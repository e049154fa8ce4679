"""`sknet table2`, `table3`, `table5`, `table6` and `table7`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from caffe.files import write_atomically
from sknet.paper.tables import measured_errors, read_measured, table_2, table_rows
from sknet.text import table

_SUBJECTS = {
    2: "SKNet against other networks on ImageNet",
    3: "SK units against deeper, wider and more grouped networks",
    5: "SKNet-29 against other networks on CIFAR",
    6: "the second branch of SKNet-50",
    7: "the kernels of SKNet-50, with and without attention",
}
_COUNTS = (
    "Parameters in millions: learned, and stored in a caffemodel (with the statistics "
    "of batch norms). GFLOPs: 10^9 multiply-adds of one image and what the named "
    "convention adds to them, see `sknet complexity`. `yes` stands where one of ours, "
    "rounded or cut to the paper's digits, is the paper's."
)


def add_commands(commands: Any) -> None:
    """Adds the subcommands."""
    for number, subject in _SUBJECTS.items():
        command = commands.add_parser(
            f"table{number}",
            help=f"Table {number} of the paper and our counts: {subject}",
            description=f"Table {number} of the SKNet paper beside our counts of the "
            f"generated networks: {subject}.",
            epilog=_COUNTS,
        )
        command.set_defaults(run=_print_table, number=number)
        command.add_argument(
            "--json", type=Path, metavar="FILE", help="write the rows as JSON too"
        )
        if number == 2:
            add_measured(command, "to print beside the paper's")


def add_measured(command: Any, use: str) -> None:
    """Adds the argument that names results of ours."""
    command.add_argument(
        "--measured",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help=f"results of `sknet evaluate --json`, {use}",
    )


def _print_table(arguments: argparse.Namespace) -> None:
    others: list[str] = []
    if arguments.number == 2:
        measured = read_measured(arguments.measured)
        rows = table_2(measured_errors(measured))
        others = sorted({record.net for record in measured if record.row is None})
    else:
        rows = table_rows(arguments.number)
    errors = [
        key.removeprefix("paper_top1_error_")
        for key in rows[0]
        if key.startswith("paper_top1_error_")
    ]
    with_gflops = rows[0]["paper_gflops"] is not None
    header = ["model", "#P", "learned", "stored", "same"]
    if with_gflops:
        header += ["GFLOPs", "ours", "counting", "same"]
    for error in errors:
        header.append(f"top-1 {error}")
        if arguments.number == 2:
            header.append(f"ours {error}")
    lines = []
    for row in rows:
        line = [
            row["model"],
            f"{row['paper_params_m']:.1f}",
            f"{row['learned_params'] / 1e6:.3f}",
            f"{row['stored_params'] / 1e6:.3f}",
            _yes(row["params_reproduced"]),
        ]
        if with_gflops:
            line += [
                f"{row['paper_gflops']:.2f}",
                f"{row['gflops']:.4f}",
                row["convention"],
                _yes(row["gflops_reproduced"]),
            ]
        for error in errors:
            line.append(_percent(row[f"paper_top1_error_{error}"]))
            if arguments.number == 2:
                line.append(_percent(row[f"measured_top1_error_{error}"]))
        lines.append(line)
    print(table(header, lines))
    notes = [f"{row['model']}: {row['note']}" for row in rows if row["note"]]
    print("\n" + "\n".join(notes) if notes else "", end="\n" if notes else "")
    for net in others:
        print(f"note: net '{net}' is in no row of the table")
    if arguments.json:
        write_atomically(arguments.json, json.dumps(rows, indent=1) + "\n")


def _yes(same: bool) -> str:
    return "yes" if same else "no"


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:.2f}"
