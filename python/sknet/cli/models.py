"""`sknet list` and `sknet generate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caffe.files import write_atomically
from caffe.proto import caffe_pb2
from sknet.models import (
    Model,
    Recipe,
    create_model,
    deploy,
    deploy_text,
    list_models,
    recipe_for,
    released,
    rename_classifier,
    solver,
    train_val,
)
from sknet.models.recipe import SCHEDULES
from sknet.models.sknet import Branch
from sknet.paper.cards import write_models
from sknet.prototxt import to_text
from sknet.text import table


def add_commands(commands: Any) -> None:
    """Adds the subcommands."""
    command = commands.add_parser(
        "list",
        help="list the models that can be generated",
        description="Lists the networks that `sknet generate` can write; other "
        "commands take their names too.",
    )
    command.set_defaults(run=_list)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the list as JSON too"
    )
    _add_generate(commands)


def _add_generate(commands: Any) -> None:
    command = commands.add_parser(
        "generate",
        help="write prototxt files of a model",
        description="Writes the definition of a network: `deploy` takes images and "
        "gives probabilities; `train_val` reads two LMDBs and has loss and accuracies; "
        "`released` is the authors' file (SKNet, SENet and GENet), so that their "
        "weights load by name. The layers of all three have the same names.",
        epilog="Settings of the recipe default to those published for the model.",
    )
    command.set_defaults(run=_generate)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("model", nargs="?", help="a name from `sknet list`")
    which.add_argument(
        "--all",
        action="store_true",
        help="write the networks of the paper's Table 2 and SKNet-26: a folder for "
        "each below that of -o, with deploy, train_val, solver and README",
    )
    command.add_argument(
        "--style", choices=list(_STYLES), help="form of the definition (deploy)"
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write there instead of to the standard output",
    )
    add_model_options(command)
    files = command.add_argument_group("files, with --style train_val")
    files.add_argument(
        "--solver", type=Path, metavar="FILE", help="write the solver for the -o file"
    )
    for option, meaning in _FILE_OPTIONS.items():
        files.add_argument(f"--{option}", metavar="PATH", help=meaning)


def add_model_options(command: Any) -> None:
    """Adds the options that change a network or its recipe."""
    network = command.add_argument_group("network")
    network.add_argument("--classes", type=int, metavar="N", help="number of classes")
    network.add_argument(
        "--classifier",
        metavar="NAME",
        help="call the last layer NAME, so that it finds no weights in a file, and let "
        "it learn ten times as fast: for fine-tuning",
    )
    network.add_argument(
        "--crop", type=int, metavar="N", help="side of the input in pixels"
    )
    network.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="images at a time: in deploy 1, in released 32 (SENet: 1), in train_val "
        "the recipe's",
    )
    network.add_argument(
        "--depths", type=_numbers, metavar="N,N,...", help="blocks of each stage"
    )
    network.add_argument(
        "--widths",
        type=_numbers,
        metavar="N,N,...",
        help="channels in the middle of the blocks of each stage",
    )
    network.add_argument(
        "--groups", type=int, metavar="N", help="groups of the 3x3 convolutions"
    )
    branches = network.add_mutually_exclusive_group()
    branches.add_argument(
        "--kernels",
        type=_kernels,
        metavar="N,N,...",
        help="sizes that the branches of SK units cover, with dilated 3x3 kernels "
        "(3,5)",
    )
    branches.add_argument(
        "--branches",
        type=_branches,
        metavar="KxK[gG][dD],...",
        help="kernels of the branches of SK units, with groups and dilation "
        "(3x3,3x3d2)",
    )
    network.add_argument(
        "--no-attention",
        action="store_true",
        help="add the branches of SK units instead of weighing them",
    )
    recipe = command.add_argument_group("recipe, of training")
    for name, kind, meaning in _RECIPE_OPTIONS:
        option = _spelt(name)
        if name == "schedule":
            recipe.add_argument(option, choices=list(SCHEDULES), help=meaning)
        else:
            metavar = _METAVARS[kind]
            recipe.add_argument(option, type=kind, metavar=metavar, help=meaning)


_STYLES = ("deploy", "train_val", "released")
_FILE_OPTIONS = {
    "train-source": "LMDB of the training images (train_lmdb)",
    "val-source": "LMDB of the validation images (val_lmdb)",
    "snapshot-prefix": "start of the snapshots' paths (snapshots/MODEL)",
}


def _epochs(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}', expected numbers with commas between"
        ) from None


_METAVARS: dict[Callable[[str], Any], str] = {int: "N", float: "X", _epochs: "X,X,..."}
_RECIPE_OPTIONS: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    (
        "schedule",
        str,
        "epochs and drops of the rate: SKNet's 100 epochs, or SENet's 270",
    ),
    ("gpus", int, "GPUs that share a batch; 0 is the CPU"),
    ("train_images", int, "images in the training set"),
    ("val_images", int, "images in the validation set"),
    ("iter_size", int, "batches per update"),
    ("val_batch_size", int, "validation images at a time, at most"),
    ("epochs", float, "passes over the training set; the rate's steps move with them"),
    ("steps", _epochs, "epochs after which the rate is divided by ten"),
    ("base_lr", float, "learning rate at the start"),
    ("weight_decay", float, "L2 penalty"),
    ("label_smoothing", float, "share of the target that is spread over all classes"),
    ("seed", int, "seed of all random draws"),
)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}', expected whole numbers with commas between"
        ) from None


def _kernels(text: str) -> tuple[Branch, ...]:
    try:
        return tuple(map(Branch.covering, _numbers(text)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _branches(text: str) -> tuple[Branch, ...]:
    try:
        return tuple(map(Branch.parse, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _list(arguments: argparse.Namespace) -> None:
    models = list_models()
    print(table(("model", "description"), list(models.items())))
    if arguments.json:
        records = []
        for name, description in models.items():
            model = create_model(name)
            records.append(
                {
                    "model": name,
                    "description": description,
                    "net": model.name,
                    "classes": model.classes,
                    "image_size": model.image_size,
                    "recipe": model.recipe,
                    "released": bool(model.release),
                }
            )
        write_atomically(arguments.json, json.dumps(records, indent=1) + "\n")


def _given(arguments: argparse.Namespace, **fields: str) -> dict[str, Any]:
    """Values of the options that were given, under the names of `fields`."""
    return {
        field: getattr(arguments, option)
        for field, option in fields.items()
        if getattr(arguments, option) is not None
    }


def _generate(arguments: argparse.Namespace) -> None:
    if arguments.all:
        if arguments.output is None:
            raise ValueError("--all needs -o DIR, the folder to write below")
        for path in write_models(arguments.output):
            print(f"wrote {path}")
        return
    model = model_of(arguments)
    style = arguments.style or "deploy"
    if arguments.batch is not None and arguments.batch < 1:
        raise ValueError(f"--batch is {arguments.batch}, expected at least 1")
    if style == "train_val":
        _train_val(arguments, model)
        return
    for option in ("solver", *_FILE_OPTIONS, *(name for name, *_ in _RECIPE_OPTIONS)):
        if getattr(arguments, option.replace("-", "_")) is not None:
            raise ValueError(f"{_spelt(option)} is of training; add --style train_val")
    if style == "released" and arguments.classifier:
        raise ValueError("--classifier makes another net than the released one")
    batch = _given(arguments, batch_size="batch")
    if style == "released":
        text = to_text(released(model, **batch), explicit=True)
    else:
        net = deploy(model, **batch)
        if arguments.classifier:
            rename_classifier(net, arguments.classifier)
        text = deploy_text(model, net)
    _write(text, arguments.output)


# Options of the network, in the order of the help, and the fields that they set.
_FIELDS = {
    "classes": "classes",
    "crop": "image_size",
    "depths": "depths",
    "widths": "widths",
    "groups": "groups",
    "kernels": "branches",
    "branches": "branches",
    "no_attention": "attention",
}


def model_of(arguments: argparse.Namespace) -> Model:
    """The model that the options of `add_model_options` describe.

    Raises:
        ValueError: No such model, an option that it has not, or a value that none has.
    """
    fields = create_model(arguments.model).__dataclass_fields__
    options: dict[str, Any] = {}
    for option, field in _FIELDS.items():
        value = getattr(arguments, option)
        if value is None or value is False:
            continue
        if field not in fields:
            taken = ", ".join(_spelt(o) for o, f in _FIELDS.items() if f in fields)
            raise ValueError(
                f"{_spelt(option)} is no option of {arguments.model}, which takes "
                f"{taken}"
            )
        if option in ("classes", "crop") and value < 1:
            raise ValueError(f"{_spelt(option)} is {value}, expected at least 1")
        options[field] = False if option == "no_attention" else value
    return create_model(arguments.model, **options)


def _spelt(option: str) -> str:
    return "--" + option.replace("_", "-")


def training_of(
    arguments: argparse.Namespace, model: Model, train_source: str, val_source: str
) -> tuple[Recipe, caffe_pb2.NetParameter]:
    """The recipe that the options describe, and its net; prints warnings."""
    fields = {name: name for name, *_ in _RECIPE_OPTIONS if name != "steps"}
    recipe = recipe_for(
        model.recipe,
        **_given(arguments, batch_size="batch", lr_drops="steps", **fields),
    )
    for sentence in recipe.warnings():
        print(f"warning: {sentence}", file=sys.stderr)
    net = train_val(model, recipe, train_source, val_source)
    if arguments.classifier:
        rename_classifier(net, arguments.classifier)
    return recipe, net


def _train_val(arguments: argparse.Namespace, model: Model) -> None:
    recipe, net = training_of(
        arguments,
        model,
        arguments.train_source or "train_lmdb",
        arguments.val_source or "val_lmdb",
    )
    if arguments.solver and arguments.output is None:
        raise ValueError("--solver needs -o FILE, the net that it trains")
    if arguments.snapshot_prefix and not arguments.solver:
        raise ValueError("--snapshot-prefix is of the solver; add --solver FILE")
    _write(to_text(net), arguments.output)
    if arguments.solver:
        prefix = arguments.snapshot_prefix or f"snapshots/{arguments.model}"
        definition = solver(recipe, str(arguments.output), prefix)
        _write(to_text(definition), arguments.solver)


def _write(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
    else:
        write_atomically(path, text)
        print(f"wrote {path}")
