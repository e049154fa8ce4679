"""`sknet attention`."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from caffe.cli.progress import reporting
from caffe.cli.waiting import finishing
from caffe.files import check_writable, make_folder, write_atomically
from sknet.cli.evaluate import (
    add_net_arguments,
    print_preprocessing,
    set_up,
)
from sknet.text import print_rejected, table


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "attention",
        help="plot which kernels an SKNet chooses as objects grow",
        description="Enlarges the middle of every image by each scale and measures the "
        "weights that the SK units give to their kernels. Writes into --out, as PNG: "
        "image_N.png (the first images: what the net saw, the weights of the larger "
        "kernel in the last unit of the second stage, the mean difference between the "
        "kernels in the last unit of every stage), average.png (the same over all "
        "images) and classes.png (the difference for every class); and the numbers as "
        "curves.csv, differences.csv and classes.csv. A flat folder without --labels "
        "gives no plot of the classes.",
    )
    command.set_defaults(run=_attention)
    add_net_arguments(command)
    command.add_argument(
        "--scales",
        default="1.0,1.5,2.0",
        metavar="X,X,...",
        help="factors to enlarge by (1.0,1.5,2.0)",
    )
    command.add_argument(
        "--images",
        type=int,
        default=6,
        metavar="N",
        help="plot the first N images one by one (6)",
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the printed table as JSON"
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("attention"),
        metavar="DIR",
        help="folder to write into (attention)",
    )


def _scales(text: str) -> tuple[float, ...]:
    from sknet.attention.plots import MAX_SCALES

    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not 1 <= len(scales) <= MAX_SCALES or not all(map(math.isfinite, scales)):
        raise ValueError(
            f"--scales {text}: expected up to {MAX_SCALES} numbers such as 1.0,1.5,2.0"
        )
    return scales


def _attention(arguments: argparse.Namespace) -> None:
    import numpy as np

    from sknet.attention import analyse, last_of_stages, sk_units
    from sknet.attention.plots import (
        plot_average,
        plot_classes,
        plot_image,
        write_tables,
    )
    from sknet.data.class_map import names_of

    scales = _scales(arguments.scales)
    setting = set_up(arguments, optimize=False)
    network, source, protocol, preprocessing = setting
    units = sk_units(network.definition.net)
    print_preprocessing(preprocessing)
    total = min(source.count, arguments.limit or source.count)
    mean = np.array(preprocessing.mean, np.float32).reshape(-1, 1, 1)
    skip = arguments.on_bad_image == "skip"
    rejected: list[tuple[str, str]] | None = [] if skip else None
    make_folder(arguments.out)
    if arguments.json:
        check_writable(arguments.json)
    ends = finishing("sknet attention", "this batch")
    with ends, reporting("Looking at") as report:
        attention = analyse(
            network,
            units,
            source.batches(
                protocol,
                preprocessing,
                arguments.batch,
                stop=total,
                classes=network.classes,
                rejected=rejected,
            ),
            scales=scales,
            images=arguments.images,
            unpreprocess=lambda values: values / preprocessing.scale + mean,
            report=lambda done: report(done, total),
        )
    for number, image in enumerate(attention.images):
        plot_image(attention, image, arguments.out / f"image_{number}.png")
    plot_average(attention, arguments.out / "average.png")
    names = None
    if source.labelled:
        names = names_of(source.classes, network.classes)
        plot_classes(attention, arguments.out / "classes.png", names)
    else:
        print("note: the images have no labels, so there is no plot of the classes")
    write_tables(attention, arguments.out, names)
    last = last_of_stages(units)
    rows = [
        (
            f"{scale:g}x",
            *(f"{attention.differences[i, units.index(unit)]:+.4f}" for unit in last),
        )
        for i, scale in enumerate(scales)
    ]
    kernels = f"{last[0].last_kernel} - {last[0].first_kernel}"
    seen = int(attention.count.sum())
    print(f"mean attention difference, {kernels}, over {seen:,} images:\n")
    print(table(("scale", *(unit.name for unit in last)), rows))
    if rejected:
        print()
    print_rejected([f"'{name}': {why}" for name, why in rejected or []], "--json")
    print(f"\nplots and tables in {arguments.out}")
    if arguments.json:
        record = {
            "net": network.definition.name,
            "images": seen,
            "rejected": [{"name": n, "reason": why} for n, why in rejected or []],
            "difference": kernels,
            "scales": [
                {
                    "scale": scale,
                    "units": {
                        unit.name: float(attention.differences[i, units.index(unit)])
                        for unit in last
                    },
                }
                for i, scale in enumerate(scales)
            ],
        }
        write_atomically(arguments.json, json.dumps(record, indent=1) + "\n")
