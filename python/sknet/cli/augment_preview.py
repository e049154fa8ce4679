"""`sknet augment-preview`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "augment-preview",
        help="show what training makes of images",
        description="Writes a contact sheet: each row has an image as it is stored, "
        "and draws of it by the engine's own data layer, with the augmentation of a "
        "model's recipe or of a train_val file. Mean and scale are undone.",
    )
    command.set_defaults(run=_preview)
    command.add_argument(
        "net", help="a name from `sknet list`, or a train_val prototxt file"
    )
    command.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="LMDB|FOLDER|FILE",
        help="images: an LMDB, or a folder with a folder for each class, or of images, "
        "or one image",
    )
    for name, default, text in (
        ("images", 4, "take the first N images"),
        ("draws", 7, "transform each N times"),
        ("seed", 1, "of the random draws"),
    ):
        command.add_argument(
            f"--{name}",
            type=int,
            default=default,
            metavar="N",
            help=f"{text} ({default})",
        )
    command.add_argument(
        "--crop", type=int, metavar="N", help="side of the output in pixels"
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("augmentation.png"),
        metavar="FILE",
        help="image to write (augmentation.png)",
    )


def _preview(arguments: argparse.Namespace) -> None:
    from sknet.data.augment_preview import draw, sheet, training_transform
    from sknet.data.opencv import write_image
    from sknet.evaluation import open_source

    for name in ("images", "draws", "crop"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} is {value}, expected at least 1")
    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}, expected 0 or more")
    param = training_transform(arguments.net, arguments.crop)
    source = open_source(arguments.source)
    originals, drawn = draw(
        source, param, arguments.images, arguments.draws, arguments.seed
    )
    write_image(arguments.output, sheet(originals, drawn)[:, :, ::-1])
    print(
        f"{len(originals)} images with {arguments.draws} draws each in "
        f"{arguments.output}"
    )
