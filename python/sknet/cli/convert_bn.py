"""`sknet convert-bn`."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import caffe
from caffe.files import read_bytes, write_atomically
from sknet.convert import FORMS


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "convert-bn",
        help="convert the batch norms of a caffemodel between the forks of Caffe",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Converts all batch norms of a net, with their Scale layers, into "
        "one form:\n\n"
        "  sknet   CuDNNBatchNorm, 4 blobs: scale, bias, mean, variance\n"
        "  bvlc    BatchNorm, 3 blobs: mean, variance, factor; and Scale, 2 blobs\n"
        "  nvidia  BatchNorm, 5 blobs: mean, variance, 1, scale, bias\n"
        "  intel   BatchNorm, the blobs of nvidia, other words in the prototxt\n"
        "  intel2  BatchNorm of intel's first releases, 2 blobs: scale, bias; the\n"
        "          statistics are dropped, as it always uses those of the batch\n\n"
        "The form of the input is recognised. The results of the net stay the same up\n"
        "to rounding, but for intel2.",
    )
    command.set_defaults(run=_convert_bn)
    command.add_argument("input", type=Path, help="caffemodel to read")
    command.add_argument("output", type=Path, help="caffemodel to write")
    command.add_argument("--to", required=True, choices=FORMS, help="form to write")
    command.add_argument(
        "--prototxt",
        type=Path,
        metavar="FILE",
        help="definition of the net (default: the layers that the caffemodel has)",
    )
    command.add_argument(
        "--out-prototxt",
        type=Path,
        metavar="FILE",
        help="write the definition for the output; needs --prototxt",
    )


def _convert_bn(arguments: argparse.Namespace) -> None:
    from sknet.convert.batch_norms import convert, convert_text, find

    if arguments.out_prototxt and not arguments.prototxt:
        raise ValueError("--out-prototxt needs --prototxt, the definition to convert")
    model = caffe.read_net(arguments.input)
    definition = None
    if arguments.prototxt:
        definition = caffe.read_net(arguments.prototxt).layer
    norms = find(model, definition)
    if not norms:
        raise ValueError(f"{arguments.input}: the net has no batch norm")
    converted = convert(model, arguments.to, norms)
    outputs = [(arguments.output, converted.SerializeToString())]
    if arguments.out_prototxt:
        text = read_bytes(arguments.prototxt)
        outputs.append(
            (arguments.out_prototxt, convert_text(text, arguments.to, norms))
        )
    for path, content in outputs:
        write_atomically(path, content)
    counts = Counter(norm.form for norm in norms)
    read = ", ".join(f"{count} {form}" for form, count in counts.items())
    print(f"{len(norms)} batch norms ({read}) converted to {arguments.to}")
    if arguments.to == "intel2":
        print("their running means and variances are not in the output")
    for path, _ in outputs:
        print(f"wrote {path}")
