"""`sknet complexity`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from caffe.proto import caffe_pb2
from sknet.complexity import CONVENTIONS, Complexity, analyse
from sknet.models import create_model, deploy
from sknet.text import table


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "complexity", help="count parameters and arithmetic of a model or a prototxt"
    )
    command.set_defaults(run=_complexity)
    command.add_argument("net", help="a name from `sknet list`, or a prototxt file")
    command.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[BLOB=]NxCxHxW",
        help="shape of an input blob, by default `data`",
    )
    command.add_argument("--layers", action="store_true", help="one row per layer")


def _complexity(arguments: argparse.Namespace) -> None:
    path = Path(arguments.net)
    if path.is_file():
        net = caffe_pb2.NetParameter()
        try:
            text_format.Parse(path.read_text(), net)
        except text_format.ParseError as error:
            raise ValueError(f"{path}:{error}") from None
    else:
        net = deploy(create_model(arguments.net))
    counts = analyse(net, dict(map(_input_shape, arguments.input)))
    if arguments.layers:
        _print_layers(counts)
    total = counts.total
    print(f"net                  {counts.name or path.stem}")
    print(f"learned parameters   {total.learned:,}")
    print(f"stored values        {total.stored:,}")
    for name in CONVENTIONS:
        print(f"GFLOPs {name:13} {counts.gflops(name):.4f}")


def _input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    blob, _, shape = text.rpartition("=")
    try:
        dims = tuple(int(part) for part in shape.split("x"))
    except ValueError:
        dims = ()
    if not dims or min(dims) < 1:
        raise ValueError(f"--input {text}: expected a shape such as 1x3x224x224")
    return blob or "data", dims


def _print_layers(counts: Complexity) -> None:
    rows = []
    for entry in counts.layers:
        shapes = ["x".join(map(str, shape)) or "scalar" for shape in entry.shapes]
        cost = entry.cost
        numbers = cost.learned, cost.stored, cost.macs
        rows.append(
            (
                entry.layer.name,
                entry.layer.type,
                ", ".join(shapes),
                *(f"{number:,}" if number else "" for number in numbers),
            )
        )
    print(table(("layer", "type", "tops", "learned", "stored", "MACs"), rows))
    print()
