"""`sknet train`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from sknet.cli.models import add_model_options, model_of, training_of
from sknet.data.class_map import read_record
from sknet.models import solver
from sknet.training.run_folder import RunFolder

NAME = "train"
# Options of `caffe train` that a run folder answers itself.
_OURS = {"solver", "snapshot"}


def add_commands(commands: Any) -> None:
    """Adds the subcommand."""
    command = commands.add_parser(
        NAME,
        allow_abbrev=False,
        help="train a model by its recipe, in a folder that goes on where it was",
        description="Writes OUT/train_val.prototxt and OUT/solver.prototxt of a model "
        "for DATA/train_lmdb and DATA/val_lmdb, which `sknet prepare imagenet` builds, "
        "and trains it: the log goes to OUT/train.log as well, snapshots to "
        "OUT/snapshots. Started again, it goes on from the newest snapshot; with "
        "other options than those of its snapshots it stops, unless they only say how "
        "long to train. With one dash, options are those of `caffe train`: -weights W "
        "to start from, -gpu, -precision, -tensorboard and so on.",
        epilog="The number of classes is the database's. The images of an update stay "
        "those of the recipe, whatever the batch.",
    )
    command.set_defaults(run=_train)
    command.add_argument("model", help="a name from `sknet list`")
    command.add_argument("data", type=Path, metavar="DATA", help="folder of databases")
    command.add_argument("out", type=Path, metavar="OUT", help="folder of the run")
    add_model_options(command)


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Separates what `caffe train` takes, with one dash, from the rest.

    Raises:
        ValueError: A flag that it has not, or that the run folder sets.
    """
    from caffe.cli.flags import Flag
    from caffe.cli.tool import ALL_LOG_FLAGS
    from caffe.cli.train import COMMAND
    from caffe.closest import suggestion

    flags: dict[str, Flag] = {f.name: f for f in (*COMMAND.flags, *ALL_LOG_FLAGS)}
    ours: list[str] = []
    theirs: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        single = argument.startswith("-") and not argument.startswith("--")
        if not single or len(argument) == 2:
            ours.append(argument)
            continue
        name = argument[1:].partition("=")[0].replace("-", "_")
        flag = flags.get(name) or flags.get(name.removeprefix("no"))
        if flag is None or name in _OURS:
            raise ValueError(
                f"{argument}: "
                + (
                    "set by the run folder"
                    if flag
                    else "no flag of `caffe train`" + suggestion(name, flags)
                )
                + "; `caffe help train` lists those, options of this command have two "
                "dashes"
            )
        theirs.append(argument)
        if "=" not in argument and not isinstance(flag.default, bool) and rest:
            theirs.append(rest.pop(0))
    return ours, theirs


def _train(arguments: argparse.Namespace) -> None:
    if arguments.batch is not None and arguments.batch < 1:
        raise ValueError(f"--batch is {arguments.batch}, expected at least 1")
    counts = {}
    for part in ("train", "val"):
        record = read_record(arguments.data / f"{part}_lmdb")
        if record is None:
            raise ValueError(
                f"'{arguments.data / f'{part}_lmdb'}' is no database of `sknet prepare "
                "imagenet` (scripts/prepare_imagenet.sh); build it first"
            )
        counts[part] = int(record[1]["images"])
        classes = record[0]
    options = _given(arguments)
    if arguments.classes is None:
        arguments.classes = len(classes.names)
    for part in ("train", "val"):
        if getattr(arguments, f"{part}_images") is None:
            setattr(arguments, f"{part}_images", counts[part])
    folder = RunFolder(arguments.out, arguments.model)
    folder.occupy()
    model = model_of(arguments)
    recipe, net = training_of(
        arguments,
        model,
        str(arguments.data / "train_lmdb"),
        str(arguments.data / "val_lmdb"),
    )
    definition = solver(recipe, str(folder.net), folder.snapshot_prefix)
    folder.define(net, definition, options)
    command = [
        sys.executable,
        "-m",
        "caffe.cli",
        "train",
        "-solver",
        str(folder.solver),
    ]
    flags = list(arguments.caffe_flags)
    if newest := folder.newest_snapshot():
        state, iteration = newest
        if iteration >= definition.max_iter:
            print(
                f"complete: iteration {iteration:,} of {definition.max_iter:,} is in "
                f"{state.parent}; more --epochs train on"
            )
            return
        command += ["-snapshot", str(state)]
        flags = _without_weights(flags, state)
    if not any(flag.lstrip("-").startswith("log_file") for flag in flags):
        command += ["-log_file", str(folder.log)]
    # So that signals and the exit status are those of `caffe train`.
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command + flags)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of the command line, in a form that JSON keeps."""
    known = {"command", "run", "out", "caffe_flags"}
    options = {}
    for name, value in vars(arguments).items():
        if name in known or value is None or value is False:
            continue
        if isinstance(value, Path):
            value = str(value.resolve())
        elif isinstance(value, tuple):
            value = ",".join(map(str, value))
        options[name] = value
    return options


def _without_weights(flags: list[str], state: Path) -> list[str]:
    kept: list[str] = []
    rest = list(flags)
    while rest:
        flag = rest.pop(0)
        if flag.lstrip("-").partition("=")[0] == "weights":
            if "=" not in flag and rest:
                rest.pop(0)
            print(f"note: going on from {state}; -weights was for the start")
            continue
        kept.append(flag)
    return kept
