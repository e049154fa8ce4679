"""`sknet list` and `sknet generate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

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


def add_commands(commands: Any) -> None:
    """Adds the subcommands."""
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
