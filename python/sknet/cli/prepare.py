"""`sknet prepare`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe.cli.progress import reporting
from caffe.cli.waiting import finishing
from sknet.text import print_rejected

if TYPE_CHECKING:
    from sknet.data.class_map import ClassMap
    from sknet.data.image_files import Image
    from sknet.data.prepare import Result


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "prepare",
        help="build the databases of a data set",
        description="Builds OUT/train_lmdb and OUT/val_lmdb from the folders of "
        "ILSVRC 2012. Image files are stored as they are. The training images are in "
        "an order drawn by the seed; labels are the positions of the class names in "
        "their sorted order, or in --classes, and are recorded in the databases. A "
        "command that was interrupted goes on where it was when given again.",
    )
    command.set_defaults(run=_prepare)
    command.add_argument("dataset", choices=["imagenet"], help="layout of the images")
    command.add_argument(
        "--train",
        type=Path,
        required=True,
        metavar="DIR",
        help="training images: a folder for each class, n01440764 and so on",
    )
    command.add_argument(
        "--val",
        type=Path,
        required=True,
        metavar="DIR|TAR",
        help="validation images: folders as for --train, or a flat folder with "
        "--val-labels, or an uncompressed tar archive of either",
    )
    command.add_argument(
        "--val-labels",
        type=Path,
        metavar="FILE",
        help="a line `name label` for each validation image, such as Caffe's val.txt; "
        "a label is a number or a class",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the databases"
    )
    command.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="the classes in the order of their labels, one a line; the folders may be "
        "some of them, whose labels are then those in the list (default: the folders, "
        "sorted)",
    )
    command.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="seed of the order of the training images (1)",
    )
    command.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads that read and check images (default: one for each core)",
    )
    command.add_argument(
        "--allow-rejects",
        action="store_true",
        help="succeed even if images were left out because they cannot be decoded",
    )


def _doubts(
    arguments: argparse.Namespace,
    classes: ClassMap,
    train: Sequence[Image],
    val: Sequence[Image],
) -> Iterator[str]:
    """What may be wrong with the validation images' labels."""
    from sknet.data.class_map import named

    if arguments.val_labels and list(classes.names) != sorted(classes.names):
        yield (
            f"numbers in '{arguments.val_labels}' are places in '{arguments.classes}', "
            "which is not sorted; those of Caffe's val.txt are places among the sorted "
            "classes"
        )
    if strange := {image.label for image in val} - {image.label for image in train}:
        names = named(classes.names[label] for label in strange)
        yield (
            f"there are validation images of classes without training images ({names})"
            + ("; see that their labels are right" if arguments.val_labels else "")
        )


def _prepare(arguments: argparse.Namespace) -> int:
    from sknet.data.class_map import named, read_class_list
    from sknet.data.image_files import scan_train, scan_val, shuffled
    from sknet.data.prepare import build

    if arguments.workers is not None and arguments.workers < 1:
        raise ValueError(f"--workers is {arguments.workers}, expected at least 1")
    wanted = read_class_list(arguments.classes) if arguments.classes else None
    others: list[str] = []
    classes, train = scan_train(arguments.train, wanted, others)
    val = scan_val(arguments.val, classes, arguments.val_labels, others)
    filled, known = len({image.label for image in train}), len(classes.names)
    print(
        f"{f'{filled:,} of the ' if filled < known else ''}{known:,} classes: "
        f"{len(train):,} training and {len(val):,} validation images"
    )
    if others:
        print(f"passed over {len(others):,} files that are no images ({named(others)})")
    for doubt in _doubts(arguments, classes, train, val):
        print(f"warning: {doubt}")
    left_out = 0
    repaired: list[Path] = []
    seed: int = arguments.seed
    parts: Sequence[tuple[str, Path, Sequence[Image], int | None]] = (
        ("train", arguments.train, shuffled(train, seed), seed),
        ("val", arguments.val, val, None),
    )
    for part, source, images, drawn in parts:
        ends = finishing("sknet prepare", "the images in hand")
        with ends, reporting(f"Storing {part}") as report:
            result = build(
                source,
                images,
                classes,
                arguments.out / f"{part}_lmdb",
                seed=drawn,
                workers=arguments.workers,
                report=report,
            )
        _summarise(result, images)
        left_out += len(result.rejected)
        if result.repaired:
            repaired.append(result.database)
    if repaired:
        print(
            "to take in what can be stored now, remove "
            f"{' and '.join(map(str, repaired))} and give this command again"
        )
    if left_out and not arguments.allow_rejects:
        raise ValueError(
            f"{left_out} images were rejected, see above; the databases hold the "
            "others, and --allow-rejects makes that a success"
        )
    return 0


def _summarise(result: Result, images: Sequence[Image]) -> None:
    stored = f"{result.written:,} of {len(images):,} images in {result.database}"
    if result.complete_before:
        print(f"complete already: {stored}")
    elif result.resumed:
        print(f"stored {stored}, {result.resumed:,} of them in an earlier run")
    else:
        print(f"stored {stored}")
    rejected = dict(result.rejected)
    counts = Counter({image.label: 0 for image in images})
    counts.update(image.label for image in images if image.name not in rejected)
    print(f"  {min(counts.values()):,} to {max(counts.values()):,} images in a class")
    lines = [
        f"'{name}' in an earlier run, but it can be stored now"
        for name in result.repaired
    ]
    left = (entry for entry in result.rejected if entry[0] not in result.repaired)
    lines += [f"'{name}': {reason}" for name, reason in left]
    print_rejected(lines, f"{result.database}/classes.json", indent="  ")
