"""`sknet export`."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe.files import write_atomically
from sknet.text import table

if TYPE_CHECKING:
    from sknet.convert.export import BlobDifference

# Two orders of summation over the longest sums of the registry stay ten times below
# this share of a layer's largest value; a wrong formula is far above.
_ACCEPTED = 1e-4
# Of a whole net, the root mean square: rounding adds up on the way, and where two
# values are all but equal ArgMax may choose either. A net that magnifies what is of the
# size of rounding is allowed as many times what it makes of that.
_ACCEPTED_OF_NET = 1e-2
_ACCEPTED_OF_ROUNDING = 4


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
        "1e-4 of its largest value, or an output's root mean square above 1e-2, and "
        "above 4 times what errors of rounding's size make of it in the engine alone.",
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
    from sknet.cli.evaluate import print_preprocessing
    from sknet.convert.export import compare, export_onnx, inference_form
    from sknet.evaluation import Preprocessing
    from sknet.evaluation.network import read_prototxt, stated_transform
    from sknet.models import list_models
    from sknet.prototxt import to_text

    for file in (arguments.prototxt, arguments.weights):
        if not file.is_file():
            raise FileNotFoundError(
                f"'{file}' does not exist or is no file"
                + (
                    f"; `sknet generate {file} -o {file}.prototxt` writes that model"
                    if file == arguments.prototxt and str(file) in list_models()
                    else ""
                )
            )
    if not arguments.output.parent.is_dir():
        raise FileNotFoundError(
            f"{arguments.output}: folder '{arguments.output.parent}' does not exist"
        )
    caffe.init_log(1)
    definition = read_prototxt(arguments.prototxt)
    transform, origin = stated_transform(definition, arguments.prototxt)
    form = inference_form(definition, dict(map(_input_shape, arguments.input)))
    net = caffe.Net(form, caffe.TEST, weights=str(arguments.weights))
    try:
        net.check_weights()
    except ValueError as error:
        raise ValueError(f"weights '{arguments.weights}': {error}") from None
    graph, files = export_onnx(
        net,
        arguments.output,
        opset=arguments.opset,
        fold=arguments.fold_bn,
        notes={} if transform is None else {"transform_param": to_text(transform)},
    )
    for file in files:
        print(f"wrote {file} ({file.stat().st_size:,} bytes)")
    print(f"inputs  {_listed(graph.inputs)}")
    print(f"outputs {_listed(graph.outputs)}")
    if transform is not None and not transform.HasField("mean_file"):
        print_preprocessing(Preprocessing.of(transform, origin))
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
        print(f"whole net: {_of_net(entry)}")
    wrong = [
        entry
        for entry in report.outputs
        if entry.deviation
        > max(_ACCEPTED_OF_NET, _ACCEPTED_OF_ROUNDING * entry.sensitivity)
    ]
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


def _of_net(entry: BlobDifference) -> str:
    if math.isinf(entry.sensitivity):
        return (
            f"output '{entry.blob}' was not compared: with these weights and random "
            "input the net has values that overflow or are no numbers"
        )
    found = (
        f"output '{entry.blob}' differs by at most {entry.difference:.3g}, its largest "
        f"value is {entry.largest:.3g}"
    )
    if _ACCEPTED_OF_ROUNDING * entry.sensitivity <= _ACCEPTED_OF_NET:
        return found
    return (
        f"{found}; this net magnifies rounding, which alone changes the output by "
        f"{entry.sensitivity:.3g} of its size"
    )


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
        **{
            name: value if math.isfinite(value) else None  # JSON has no infinity
            for name, value in (
                ("difference", entry.difference),
                ("largest", entry.largest),
                ("deviation", entry.deviation),
                ("sensitivity", entry.sensitivity),
            )
        },
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
