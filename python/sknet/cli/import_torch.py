"""`sknet import`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from caffe.files import write_atomically
from sknet.convert.torch_sources import SOURCES, source
from sknet.models.transform_comment import to_comment
from sknet.prototxt import to_text


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "import",
        help="convert weights of other frameworks",
        description="Converts weights that another framework has written into a "
        "caffemodel. `sknet import torch --help` has the options of a source.",
    )
    sources = command.add_subparsers(dest="source", required=True)
    torch = sources.add_parser(
        "torch",
        help="PyTorch: networks of torchvision and timm",
        description="Converts a state dict of torchvision or timm into a caffemodel. "
        "The net reads blue, green, red pixels (0 to 255) minus the printed mean; "
        "everything else that PyTorch does to an image first is in the weights. "
        "Networks: " + ", ".join(SOURCES) + ".",
    )
    torch.set_defaults(run=_torch, command="import torch")
    torch.add_argument(
        "state_dict",
        type=Path,
        help=".safetensors, or what torch.save(state_dict) wrote",
    )
    torch.add_argument(
        "--model", required=True, metavar="NAME", help="torchvision's or timm's name"
    )
    torch.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="FILE",
        help="caffemodel to write",
    )
    torch.add_argument(
        "--prototxt",
        type=Path,
        metavar="FILE",
        help="write the definition that belongs to it: it may pool otherwise than that "
        "of `sknet generate`",
    )
    torch.add_argument("--image-size", type=int, metavar="N", help="side of the input")
    for name, text in (("mean", "mean"), ("std", "standard deviation")):
        torch.add_argument(
            f"--{name}",
            metavar="R,G,B",
            help=f"{text} of red, green and blue (0 to 1) with which images are "
            "normalised in PyTorch (default: the network's usual)",
        )


def _torch(arguments: argparse.Namespace) -> None:
    from sknet.convert.torch_import import convert, read_state_dict

    origin = source(arguments.model)
    if arguments.image_size is not None and arguments.image_size < 1:
        raise ValueError(f"--image-size {arguments.image_size}: expected above 0")
    imported = convert(
        read_state_dict(arguments.state_dict),
        arguments.model,
        image_size=arguments.image_size,
        mean=_channels(arguments.mean, "mean"),
        std=_channels(arguments.std, "std"),
    )
    write_atomically(arguments.output, imported.weights.SerializeToString())
    print(f"wrote {arguments.output}: {arguments.model} as {origin.model}")
    if arguments.prototxt:
        text = to_comment(imported.transform) + to_text(imported.definition)
        write_atomically(arguments.prototxt, text)
        print(f"wrote {arguments.prototxt}")
    mean = ", ".join(f"{value:.6g}" for value in imported.mean)
    print(f"mean to subtract, blue, green, red: {mean}")
    if origin.padded_pool:
        print("the definition pools with padding 1 in the stem, rounding down")
    if origin.excluded_padding:
        print("the definition leaves padding out of averages, for this image size only")


def _channels(text: str | None, name: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3 or (name == "std" and min(values) <= 0):
        raise ValueError(f"--{name} {text}: expected three numbers such as 0.5,0.5,0.5")
    return values
