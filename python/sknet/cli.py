"""The `sknet` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from caffe.proto import caffe_pb2
from sknet.complexity import CONVENTIONS, Complexity, analyse
from sknet.models import (
    create_model,
    deploy,
    list_models,
    recipe_for,
    released,
    solver,
    train_val,
)
from sknet.text import table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; the exit status is 1 after an error in one sentence."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError) as error:
        print(f"sknet {arguments.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sknet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("list", help="list the models that can be generated")
    command.set_defaults(run=_list)

    command = commands.add_parser(
        "generate",
        help="write prototxt files of a model",
        epilog="Settings of the recipe default to those published for the model.",
    )
    command.set_defaults(run=_generate)
    command.add_argument("model", help="a name from `sknet list`")
    files = command.add_argument_group("files to write")
    files.add_argument("--deploy", type=Path, metavar="FILE", help="for inference")
    files.add_argument("--released", type=Path, metavar="FILE", help="as published")
    files.add_argument("--train-val", type=Path, metavar="FILE", help="reading LMDBs")
    files.add_argument(
        "--solver", type=Path, metavar="FILE", help="for the file of --train-val"
    )
    network = command.add_argument_group("network")
    network.add_argument("--classes", type=int, help="number of classes")
    network.add_argument("--image-size", type=int, help="side of the input in pixels")
    network.add_argument(
        "--batch-size", type=int, help="of --deploy (default 1) or --released (32)"
    )
    recipe = command.add_argument_group("recipe of --train-val and --solver")
    recipe.add_argument("--train-source", default="train_lmdb", metavar="LMDB")
    recipe.add_argument("--val-source", default="val_lmdb", metavar="LMDB")
    recipe.add_argument("--snapshot-prefix", default="snapshots/model", metavar="PATH")
    for name, kind in _RECIPE_OPTIONS.items():
        recipe.add_argument("--" + name.replace("_", "-"), type=kind)

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
    return parser


_RECIPE_OPTIONS: dict[str, type] = {
    "train_images": int,
    "val_images": int,
    "train_batch_size": int,
    "iter_size": int,
    "val_batch_size": int,
    "epochs": float,
    "base_lr": float,
    "weight_decay": float,
    "label_smoothing": float,
    "seed": int,
}


def _list(arguments: argparse.Namespace) -> None:
    print(table(("model", "description"), list(list_models().items())))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _generate(arguments: argparse.Namespace) -> None:
    options = _given(classes=arguments.classes, image_size=arguments.image_size)
    model = create_model(arguments.model, **options)
    recipe = recipe_for(
        model.recipe,
        **_given(
            **{
                name.replace("train_batch", "batch"): getattr(arguments, name)
                for name in _RECIPE_OPTIONS
            }
        ),
    )
    batch = _given(batch_size=arguments.batch_size)
    written: list[tuple[Path, Message]] = []
    if arguments.deploy:
        written.append((arguments.deploy, deploy(model, **batch)))
    if arguments.released:
        written.append((arguments.released, released(model, **batch)))
    if arguments.train_val:
        sources = arguments.train_source, arguments.val_source
        written.append((arguments.train_val, train_val(model, recipe, *sources)))
    if arguments.solver:
        if not arguments.train_val:
            raise ValueError("--solver needs --train-val, the net that it trains")
        prefix = arguments.snapshot_prefix
        written.append(
            (arguments.solver, solver(recipe, str(arguments.train_val), prefix))
        )
    if not written:
        raise ValueError(
            "nothing to write; give --deploy, --released, --train-val or --solver"
        )
    for path, definition in written:
        path.write_text(text_format.MessageToString(definition))
        print(f"wrote {path}")


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
