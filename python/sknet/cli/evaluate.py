"""`sknet evaluate`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe.cli.progress import reporting
from caffe.cli.waiting import finishing
from caffe.files import check_writable, write_atomically
from sknet.files import sha256_of, write_csv
from sknet.text import table

if TYPE_CHECKING:
    from sknet.data.class_map import ClassMap
    from sknet.evaluation import (
        Definition,
        Evaluation,
        Network,
        Preprocessing,
        Protocol,
    )

# More would bury the summary; --json has all.
_SHOWN = 5
_SHOWN_REJECTS = 20


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        "evaluate",
        help="measure the error of a trained net",
        description="Classifies labelled images and prints top-1 and top-5 errors with "
        "95 % (Wilson) intervals, the paper's error where it has one, and how many "
        "images were classified in a second.",
        epilog="The README of SKNet's release resizes the shorter side to 256 for "
        "crops of 320 too; they do not fit into that, so here it is 352, as SENet's "
        "authors did. At 320 an average pooling over the whole 7x7 map is made global.",
    )
    command.set_defaults(run=_evaluate)
    add_net_arguments(command)
    command.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="file with a line `name label` for each image of a flat folder",
    )
    command.add_argument(
        "--protocol",
        choices=["224", "320", "10crop"],
        help="centre crop of 224 from a shorter side of 256, or of 320 from 352, or "
        "four corners, centre and their mirror images (default: the centre crop of the "
        "net's own size)",
    )
    command.add_argument(
        "--resize",
        type=int,
        metavar="N",
        help="resize the shorter side to N pixels before the crop, whatever the "
        "protocol; 0 takes images as stored",
    )
    command.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="the classes in the order of the net's outputs, one a line, if that is "
        "not the order of the labels",
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="fail if a layer gets no weights, or weights find no layer",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="only check that net, weights and images fit together",
    )
    command.add_argument(
        "--no-optimize",
        action="store_true",
        help="run layer by layer; by default layers are fused, which is faster and "
        "equal to float rounding",
    )
    command.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        default="float32",
        help="of the products in convolutions; bf16 is faster on CPUs that have it",
    )
    command.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="keep the counts in FILE, and go on from there after an interruption",
    )
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write all results as JSON"
    )
    command.add_argument(
        "--per-class", type=Path, metavar="FILE", help="write a CSV row for each class"
    )
    command.add_argument(
        "--confusion",
        type=Path,
        metavar="FILE",
        help="write the confusion matrix as CSV",
    )


def add_net_arguments(command: Any) -> None:
    """Adds the arguments that name a net, its weights and images."""
    command.add_argument("net", help="a name from `sknet list`, or a prototxt file")
    command.add_argument(
        "--weights", type=Path, required=True, metavar="FILE", help="caffemodel"
    )
    command.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="LMDB|FOLDER",
        help="images: an LMDB, or a folder with a folder for each class, or of images",
    )
    command.add_argument(
        "--mean",
        type=float,
        nargs="+",
        metavar="LEVEL",
        help="subtracted from the levels: one value, or blue, green and red (default: "
        "the model's or the prototxt's, else 104 117 123)",
    )
    command.add_argument(
        "--scale",
        type=float,
        metavar="X",
        help="factor of the levels minus the mean (default: the model's or the "
        "prototxt's, else 1)",
    )
    command.add_argument(
        "--batch", type=int, default=32, metavar="N", help="images at a time (32)"
    )
    command.add_argument(
        "--limit", type=int, metavar="N", help="use the first N images only"
    )
    command.add_argument(
        "--on-bad-image",
        choices=("fail", "skip"),
        default="fail",
        help="what to do when an image cannot be decoded; with skip those are counted "
        "and listed (fail)",
    )


def preprocessing_of(
    arguments: argparse.Namespace, default: Preprocessing
) -> Preprocessing:
    """The default with what the command line says instead."""
    for name in ("batch", "limit"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} is {value}, expected at least 1")
    mean = default.mean if arguments.mean is None else tuple(arguments.mean)
    if len(mean) not in (1, 3):
        raise ValueError(f"--mean has {len(mean)} values, expected 1 or 3")
    if arguments.mean is not None:
        default = replace(default, mean=mean, mean_from="--mean")
    if arguments.scale is not None:
        default = replace(default, scale=arguments.scale, scale_from="--scale")
    return default


def print_preprocessing(preprocessing: Preprocessing) -> None:
    """Tells mean and scale, and where they come from."""
    mean = " ".join(f"{value:g}" for value in preprocessing.mean)
    print(f"mean         {mean} (by {preprocessing.mean_from})")
    print(f"scale        {preprocessing.scale:g} (by {preprocessing.scale_from})")


def _resize_from(arguments: argparse.Namespace, definition: Definition) -> str:
    if arguments.resize is not None:
        return "--resize"
    if arguments.protocol in ("224", "320"):
        return f"--protocol {arguments.protocol}"
    return definition.resize_from


def _evaluate(arguments: argparse.Namespace) -> None:
    from sknet.data.class_map import read_class_list
    from sknet.evaluation import (
        check,
        evaluate,
        load_network,
        open_source,
        protocol_for,
        read_definition,
    )

    definition = read_definition(arguments.net)
    preprocessing = preprocessing_of(arguments, definition.preprocessing)
    protocol = protocol_for(
        arguments.protocol, definition.side, arguments.resize, definition.resize
    )
    learned = read_class_list(arguments.classes) if arguments.classes else None
    source = open_source(arguments.source, arguments.labels)
    network = load_network(
        definition,
        arguments.weights,
        protocol.crop,
        arguments.batch * protocol.crops,
        strict=arguments.strict,
        optimize=not arguments.no_optimize,
        precision=arguments.precision,
    )
    assert network.weights is not None
    _print_notices(network.notices)
    _print_warnings(network.weights.sentences())
    doubts = preprocessing.doubts(definition.name)
    _print_warnings(doubts)
    if arguments.check:
        check(network, source, learned)
        print(f"{definition.name}: {source.count:,} images can be evaluated")
        return
    files = (arguments.json, arguments.per_class, arguments.confusion, arguments.resume)
    for path in filter(None, files):
        check_writable(path)
    ends = finishing("sknet evaluate", "this batch")
    with ends, reporting("Evaluating") as report:
        result = evaluate(
            network,
            source,
            protocol,
            preprocessing,
            batch=arguments.batch,
            weights_digest=sha256_of(arguments.weights),
            limit=arguments.limit,
            learned=learned,
            checkpoint=arguments.resume,
            skip_bad=arguments.on_bad_image == "skip",
            report=report,
        )
    _print_warnings(result.warnings)
    result.warnings[:0] = doubts
    classes = learned or source.classes
    record = _record(arguments, network, protocol, preprocessing, result, classes)
    _print(record, preprocessing)
    if arguments.json:
        write_atomically(arguments.json, json.dumps(record, indent=1) + "\n")
    if arguments.per_class:
        write_csv(
            arguments.per_class,
            ["label", "class", "images", "top1_correct", "top5_correct"],
            [list(entry.values()) for entry in record["per_class"]],
        )
    if arguments.confusion:
        names = [entry["class"] for entry in record["per_class"]]
        matrix = result.scores.confusion_matrix().tolist()
        rows = [[name, *row] for name, row in zip(names, matrix, strict=True)]
        write_csv(arguments.confusion, ["label \\ answer", *names], rows)


def _print_notices(sentences: list[str]) -> None:
    for sentence in sentences:
        print(f"note: {sentence}")


def _print_warnings(sentences: list[str]) -> None:
    for sentence in sentences:
        print(f"warning: {sentence}")


def _record(
    arguments: argparse.Namespace,
    network: Network,
    protocol: Protocol,
    preprocessing: Preprocessing,
    result: Evaluation,
    classes: ClassMap | None,
) -> dict[str, Any]:
    scores, report = result.scores, network.weights
    assert report is not None
    names = classes.names if classes else tuple(map(str, range(scores.classes)))
    confusions = sorted(scores.confusions.items(), key=lambda item: (-item[1], item[0]))
    return {
        "net": network.definition.name,
        "learned_params": network.learned_params,
        "weights": str(arguments.weights),
        "source": str(arguments.source),
        "images": scores.images,
        "rejected": [{"name": name, "reason": why} for name, why in result.rejected],
        "protocol": {
            "text": str(protocol),
            "crop": protocol.crop,
            "resize": protocol.resize,
            "crops": protocol.crops,
            "resize_from": _resize_from(arguments, network.definition),
            "mean": preprocessing.mean,
            "mean_from": preprocessing.mean_from,
            "scale": preprocessing.scale,
            "scale_from": preprocessing.scale_from,
        },
        "top1": result.summary(1),
        "top5": result.summary(5),
        "paper": _paper(network, protocol, result),
        "images_per_s": result.images_per_s,
        "resumed_images": result.resumed,
        "notices": network.notices,
        "warnings": [*report.sentences(), *result.warnings],
        "weights_report": {
            "matched": len(report.matched),
            "layers_without_weights": report.missing,
            "weights_without_layer": report.unused,
        },
        "per_class": [
            {
                "label": label,
                "class": names[label],
                "images": images,
                "top1_correct": top1,
                "top5_correct": top5,
            }
            for label, (images, top1, top5) in enumerate(scores.per_class())
        ],
        "confusions": [
            {"label": label, "answer": answer, "images": n}
            for (label, answer), n in confusions
        ],
    }


def _paper(
    network: Network, protocol: Protocol, result: Evaluation
) -> dict[str, Any] | None:
    """The paper's top-1 error for this net and crop; None if it has none."""
    from sknet.paper.tables import paper_row

    row = paper_row(network.definition.name)
    error = row.errors.get(str(protocol.crop)) if row else None
    if row is None or error is None or protocol.crops != 1:
        return None
    ours = result.summary(1)
    low, high = ours["interval_percent"]
    return {
        "model": row.name,
        "top1_error_percent": error,
        "difference_percent": ours["error_percent"] - error,
        "inside_interval": low <= error <= high,
    }


def _print(record: dict[str, Any], preprocessing: Preprocessing) -> None:
    print(f"net          {record['net']}, weights {record['weights']}")
    rejected = record["rejected"]
    left_out = f", {len(rejected):,} rejected" if rejected else ""
    print(f"images       {record['images']:,} of {record['source']}{left_out}")
    protocol = record["protocol"]
    print(f"protocol     {protocol['text']} (by {protocol['resize_from']})")
    print_preprocessing(preprocessing)
    speed = record["images_per_s"]
    print(f"throughput   {f'{speed:.1f} images/s' if speed else 'all done before'}\n")
    rows = []
    for top in ("top1", "top5"):
        low, high = record[top]["interval_percent"]
        rows.append(
            (
                top.replace("top", "top-"),
                f"{record[top]['correct']:,}",
                f"{record[top]['error_percent']:.2f} %",
                f"{low:.2f} .. {high:.2f} %",
            )
        )
    print(table(("", "right", "error", "95 % interval"), rows))
    if paper := record["paper"]:
        place = "inside" if paper["inside_interval"] else "outside"
        print(
            f"\npaper        {paper['model']} {paper['top1_error_percent']:.2f} % at "
            f"{record['protocol']['crop']}, {place} our interval; ours differs by "
            f"{paper['difference_percent']:+.2f}"
        )
    names = {entry["label"]: entry["class"] for entry in record["per_class"]}
    wrong = [c for c in record["confusions"] if c["label"] != c["answer"]][:_SHOWN]
    if wrong:
        print("\nmost frequent confusions:")
    for entry in wrong:
        label, answer = names[entry["label"]], names[entry["answer"]]
        print(f"  {entry['images']:,} of class {label} taken for {answer}")
    tested = [entry for entry in record["per_class"] if entry["images"]]
    tested.sort(key=lambda entry: entry["top1_correct"] / entry["images"])
    print("\nclasses with the highest error:")
    for entry in tested[:_SHOWN]:
        error = 100 * (1 - entry["top1_correct"] / entry["images"])
        print(f"  {entry['class']}: {error:.1f} % of {entry['images']:,} images")

    print_rejected([tuple(entry.values()) for entry in record["rejected"]])


def print_rejected(rejected: Sequence[tuple[str, str]]) -> None:
    """Lists images that were left out."""
    if rejected:
        print()
    for name, reason in rejected[:_SHOWN_REJECTS]:
        print(f"rejected '{name}': {reason}")
    if (more := len(rejected) - _SHOWN_REJECTS) > 0:
        print(f"rejected {more} more, see --json")
