"""`sknet export`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sknet.files import write_atomically
from sknet.text import table

if TYPE_CHECKING:
    from sknet.export import BlobDifference

# Two orders of summation over the longest sums of the registry stay ten times below
# this share of a layer's largest value; a wrong formula is far above.
_ACCEPTED = 1e-4
# Of a whole net, the root mean square: rounding adds up on the way, and where two
# values are all but equal ArgMax may choose either.
_ACCEPTED_OF_NET = 1e-2


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "export",
        help="write a net in another format",
        description="Writes a net in the format of another framework. `sknet export "
        "onnx --help` has the options of a format.",
    )
    formats = command.add_subparsers(dest="format", required=True)
    onnx = formats.add_parser(
        "onnx",
        help="ONNX, checked layer by layer in ONNX Runtime",
        description="Writes a net as an ONNX model. Data layers become inputs, of one "
        "image, without their databases; losses and accuracies are left out. Then ONNX "
        "Runtime and the engine run it on random input as a whole, and each layer by "
        "itself on its values there, on zeros, on few levels and on large values. The "
        "largest differences are reported; the exit status is 1 if a layer's is above "
        "1e-4 of its largest value, or an output's root mean square above 1e-2.",
    )
    onnx.set_defaults(run=_onnx, command="export onnx")
    onnx.add_argument(
        "prototxt",
        type=Path,
        help="the net in any form (deploy, train_val), read for the TEST phase",
    )
    onnx.add_argument(
        "--weights", required=True, type=Path, metavar="FILE", help="caffemodel"
    )
    onnx.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="file to write"
    )
    onnx.add_argument(
        "--opset", type=int, default=17, help="operator set, from 13 on (default 17)"
    )
    onnx.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[BLOB=]NxCxHxW",
        help="shape of an input blob, of `data` without a name (default: as in the "
        "prototxt, and one image of a data layer's size); can be given again",
    )
    onnx.add_argument(
        "--fold-bn",
        action="store_true",
        help="put batch norms and Scale layers into the convolutions before them",
    )
    onnx.add_argument(
        "--no-check", action="store_true", help="do not run the model in ONNX Runtime"
    )
    onnx.add_argument(
        "--by-layer", action="store_true", help="print the differences of all layers"
    )
    onnx.add_argument(
        "--json", type=Path, metavar="FILE", help="write the differences as JSON too"
    )


def _onnx(arguments: argparse.Namespace) -> int:
    import caffe
    from sknet.cli.complexity import _input_shape
    from sknet.evaluation.network import read_prototxt
    from sknet.export import compare, export_onnx, inference_form

    for file in (arguments.prototxt, arguments.weights):
        if not file.is_file():
            raise FileNotFoundError(f"'{file}' does not exist or is no file")
    if not arguments.output.parent.is_dir():
        raise FileNotFoundError(
            f"{arguments.output}: folder '{arguments.output.parent}' does not exist"
        )
    caffe.init_log(1)
    form = inference_form(
        read_prototxt(arguments.prototxt), dict(map(_input_shape, arguments.input))
    )
    net = caffe.Net(form, caffe.TEST, weights=str(arguments.weights))
    try:
        net.check_weights()
    except ValueError as error:
        raise ValueError(f"weights '{arguments.weights}': {error}") from None
    graph, files = export_onnx(
        net, arguments.output, opset=arguments.opset, fold=arguments.fold_bn
    )
    for file in files:
        print(f"wrote {file} ({file.stat().st_size:,} bytes)")
    print(f"inputs  {_listed(graph.inputs)}")
    print(f"outputs {_listed(graph.outputs)}")
    if arguments.no_check:
        return 0
    report = compare(net, graph, _random_inputs(graph.inputs))
    if arguments.json:
        write_atomically(
            arguments.json,
            json.dumps(
                {
                    "layers": [_row(entry) for entry in report.layers],
                    "outputs": [_row(entry) for entry in report.outputs],
                },
                indent=1,
            )
            + "\n",
        )
    if arguments.by_layer:
        print(_table(report.layers))
    worst = max(report.layers, key=lambda entry: entry.relative)
    print(
        f"checked {len(report.layers)} results in ONNX Runtime, layer by layer: "
        f"largest difference {max(e.difference for e in report.layers):.3g}; as a "
        f"share of its layer's values {worst.relative:.3g}, in layer '{worst.layer}'"
    )
    for entry in report.outputs:
        print(
            f"whole net: output '{entry.blob}' differs by at most "
            f"{entry.difference:.3g}, its largest value is {entry.largest:.3g}"
        )
    wrong = [e for e in report.outputs if e.deviation > _ACCEPTED_OF_NET]
    if worst.relative > _ACCEPTED:
        wrong.insert(0, worst)
    if wrong:
        raise RuntimeError(
            f"{arguments.output}: ONNX Runtime differs from the engine by "
            f"{wrong[0].difference:.3g} in layer '{wrong[0].layer}' ({wrong[0].type}), "
            f"whose largest value is {wrong[0].largest:.3g}; the file was written, but "
            "do not rely on it"
        )
    return 0


def _listed(tensors: Sequence[Any]) -> str:
    return ", ".join(
        f"{tensor.name} ({' x '.join(map(str, tensor.shape)) or 'scalar'})"
        for tensor in tensors
    )


def _random_inputs(tensors: Sequence[Any]) -> dict[str, Any]:
    """Normally distributed values of the size of mean-free pixels."""
    import numpy as np

    random = np.random.default_rng(0)
    return {
        tensor.name: random.normal(0, 50, tensor.shape).astype(np.float32)
        for tensor in tensors
    }


def _row(entry: BlobDifference) -> dict[str, Any]:
    return {
        "layer": entry.layer,
        "type": entry.type,
        "blob": entry.blob,
        "difference": entry.difference,
        "largest": entry.largest,
    }


def _table(report: Sequence[BlobDifference]) -> str:
    return table(
        ("layer", "type", "blob", "largest value", "difference"),
        [
            (
                entry.layer,
                entry.type,
                entry.blob,
                f"{entry.largest:.6g}",
                f"{entry.difference:.3g}",
            )
            for entry in report
        ],
    )
