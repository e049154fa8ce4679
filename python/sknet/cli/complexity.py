"""`sknet complexity`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import caffe
from caffe.files import write_atomically
from sknet.complexity import CONVENTIONS, Complexity, activation_memory, analyse
from sknet.models import create_model, deploy
from sknet.text import table

_QUANTITIES = {
    "learned parameters": "learned",
    "stored values": "stored",
    "multiply-adds": "macs",
    "bias additions": "bias_adds",
    "batch norm outputs": "bn_elements",
    "ReLU outputs": "relu_elements",
    "select products": "select_elements",
    "pooling inputs": "pool_inputs",
}


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "complexity",
        help="count parameters, arithmetic and memory of a model or a prototxt",
        description="Counts from the definition alone, for the batch that it has: "
        "parameters, arithmetic, and the memory of the blobs (weights and buffers "
        "inside of layers excluded). GFLOPs are 10^9 per image, in all conventions "
        "that occur in published tables.",
        epilog="Memory of training: data and gradient of every blob, as Caffe keeps "
        "them. Of inference: data of every blob, and the largest sum of those that are "
        "needed at one time.",
    )
    command.set_defaults(run=_complexity)
    command.add_argument("net", help="a name from `sknet list`, or a prototxt file")
    command.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[BLOB=]NxCxHxW",
        help="shape of an input blob, of `data` without a name; can be given again",
    )
    command.add_argument(
        "--phase",
        choices=["TEST", "TRAIN"],
        default="TEST",
        help="count the layers of this phase (TEST)",
    )
    command.add_argument("--by-layer", action="store_true", help="one row per layer")
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the counts as JSON too"
    )


def _complexity(arguments: argparse.Namespace) -> None:
    path = Path(arguments.net)
    is_file = path.is_file()
    if is_file:
        net = caffe.read_net(path)
        net.name = net.name or path.stem
    elif path.suffix or len(path.parts) > 1:  # no model is called so
        raise OSError(f"'{path}': no such file")
    else:
        net = deploy(create_model(arguments.net))
    shapes = dict(map(_input_shape, arguments.input))
    # Our own nets need no compiled code, and their counts not its time.
    counts = analyse(net, shapes, arguments.phase, engine=is_file)
    record = _record(counts, counts.name)
    if arguments.by_layer:
        _print_layers(counts)
    _print_totals(record)
    if arguments.json:
        if arguments.by_layer:
            record["layers"] = [_layer_record(entry) for entry in counts.layers]
        write_atomically(arguments.json, json.dumps(record, indent=1) + "\n")


def _input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    blob, _, shape = text.rpartition("=")
    try:
        dims = tuple(int(part) for part in shape.split("x"))
    except ValueError:
        dims = ()
    if not dims or min(dims) < 1:
        raise ValueError(f"--input {text}: expected a shape such as 1x3x224x224")
    return blob or "data", dims


def _record(counts: Complexity, name: str) -> dict[str, Any]:
    memory = activation_memory(counts)
    return {
        "net": name,
        "batch_size": counts.batch_size,
        **{key: getattr(counts.total, key) for key in _QUANTITIES.values()},
        "gflops": {name: counts.gflops(name) for name in CONVENTIONS},
        "memory_bytes": {
            "training": memory.training,
            "inference": memory.inference,
            "inference_peak": memory.inference_peak,
        },
    }


def _layer_record(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.layer.name,
        "type": entry.layer.type,
        "tops": dict(zip(entry.layer.top, entry.shapes, strict=True)),
        **{key: getattr(entry.cost, key) for key in _QUANTITIES.values()},
    }


def _print_totals(record: dict[str, Any]) -> None:
    print(f"net                    {record['net']}")
    print(f"batch                  {record['batch_size']}")
    for text, key in _QUANTITIES.items():
        print(f"{text:22} {record[key]:,}")
    for name, gflops in record["gflops"].items():
        print(f"GFLOPs {name:15} {gflops:.4f}")
    for name, size in record["memory_bytes"].items():
        print(f"MB {name.replace('_', ', '):19} {size / 1e6:,.1f}")


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
