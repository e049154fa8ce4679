"""`sknet evaluate`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe.cli.progress import reporting
from caffe.cli.waiting import finishing
from caffe.files import check_writable, write_atomically
from sknet.files import write_csv
from sknet.text import print_rejected, table

if TYPE_CHECKING:
    from sknet.evaluation import Preprocessing, Setting

# More would bury the summary; --json has all.
_SHOWN = 5


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
        "--protocol",
        choices=["224", "320", "10crop"],
        help="centre crop of 224 from a shorter side of 256, or of 320 from 352, or "
        "four corners, centre and their mirror images (default: the centre crop of the "
        "net's own size)",
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
        choices=("float32", "bf16", "fp16", "tf32"),
        default="float32",
        help="of the products in convolutions; bf16 is faster on CPUs that have it, "
        "fp16 and tf32 are for GPUs",
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
        "--weights", type=Path, required=True, metavar="FILE", help="caffemodel or HDF5"
    )
    command.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="LMDB|FOLDER",
        help="images: an LMDB, or a folder with a folder for each class, or of images",
    )
    command.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="file with a line `name label` for each image of a flat folder",
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
        "--resize",
        type=int,
        metavar="N",
        help="resize the shorter side to N pixels before the crop, whatever else says "
        "so; 0 takes images as stored",
    )
    command.add_argument(
        "--batch", type=int, default=32, metavar="N", help="images at a time (32)"
    )
    command.add_argument(
        "--limit", type=int, metavar="N", help="use the first N images only"
    )
    command.add_argument(
        "--gpu", type=int, metavar="INDEX", help="run the net on this GPU"
    )
    command.add_argument(
        "--on-bad-image",
        choices=("fail", "skip"),
        default="fail",
        help="what to do when an image cannot be decoded; with skip those are counted "
        "and listed (fail)",
    )


def set_up(arguments: argparse.Namespace, **options: Any) -> Setting:
    """Reads and builds what the arguments name, and tells of what may be wrong."""
    import caffe
    from sknet.evaluation import set_up

    for name in ("batch", "limit"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} is {value}, expected at least 1")
    if arguments.gpu is not None:
        caffe.set_device(arguments.gpu)
        caffe.set_mode_gpu()
    names = ("labels", "resize", "mean", "scale", "batch")
    setting = set_up(
        arguments.net,
        arguments.weights,
        arguments.source,
        **{name: getattr(arguments, name) for name in names},
        **options,
    )
    for sentence in setting.network.notices:
        print(f"note: {sentence}")
    print_warnings(setting.doubts())
    return setting


def print_warnings(sentences: Sequence[str]) -> None:
    """Tells reasons to doubt."""
    for sentence in sentences:
        print(f"warning: {sentence}")


def print_preprocessing(preprocessing: Preprocessing) -> None:
    """Tells mean and scale, and where they come from."""
    mean = " ".join(f"{value:g}" for value in preprocessing.mean)
    print(f"mean         {mean} (by {preprocessing.mean_from})")
    print(f"scale        {preprocessing.scale:g} (by {preprocessing.scale_from})")


def _evaluate(arguments: argparse.Namespace) -> None:
    from sknet.data.class_map import read_class_list
    from sknet.evaluation import check, evaluate, record_of

    learned = read_class_list(arguments.classes) if arguments.classes else None
    setting = set_up(
        arguments,
        protocol=arguments.protocol,
        strict=arguments.strict,
        optimize=not arguments.no_optimize,
        precision=arguments.precision,
    )
    if arguments.check:
        network, source, *_ = setting
        check(network, source, learned)
        print(f"{network.definition.name}: {source.count:,} images can be evaluated")
        return
    files = (arguments.json, arguments.per_class, arguments.confusion, arguments.resume)
    for path in filter(None, files):
        check_writable(path)
    ends = finishing("sknet evaluate", "this batch")
    with ends, reporting("Evaluating") as report:
        result = evaluate(
            *setting,
            limit=arguments.limit,
            learned=learned,
            checkpoint=arguments.resume,
            skip_bad=arguments.on_bad_image == "skip",
            report=report,
        )
    print_warnings(result.warnings)
    record = record_of(result)
    _print(record, setting.preprocessing)
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

    if rejected:
        print()
    print_rejected([f"'{e['name']}': {e['reason']}" for e in rejected], "--json")
