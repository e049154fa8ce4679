"""The `sknet` command: one module for each group of subcommands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from caffe.cli.signals import say_interrupted, status_of
from caffe.cli.tool import let_the_first_rank_speak, refuse_several_processes
from caffe.closest import closest
from caffe.files import sentence
from sknet.cli import (
    attention,
    augment_preview,
    complexity,
    convert_bn,
    evaluate,
    export,
    import_torch,
    models,
    prepare,
    scatter,
    tables,
    train,
    train_curve,
)

# Each has add_commands(subparsers); the order is that of `sknet --help`.
_MODULES: tuple[ModuleType, ...] = (
    models,
    complexity,
    evaluate,
    attention,
    export,
    import_torch,
    convert_bn,
    prepare,
    augment_preview,
    tables,
    scatter,
    train,
    train_curve,
)


def _parser_of(parser: argparse.ArgumentParser, command: str) -> Any:
    """The parser of a command such as `export onnx`."""
    for word in command.split():
        tables = (a.choices for a in parser._actions if isinstance(a.choices, dict))
        parser = next(table[word] for table in tables)
    return parser


def _refuse(command: argparse.ArgumentParser, unknown: Sequence[str]) -> None:
    """Ends with the usage of this command, and the option that was meant."""
    close = ""
    for word in unknown:
        if word.startswith("--"):
            close = _closest_option(word.partition("=")[0], command)
            break
    command.error(f"unrecognized arguments: {' '.join(unknown)}{close}")


def _closest_option(word: str, command: argparse.ArgumentParser) -> str:
    options = [o for action in command._actions for o in action.option_strings]
    close = closest(word, options)
    return "" if close is None else f"; the closest to '{word}' is '{close}'"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; the exit status is 1 after an error in one sentence."""
    parser = argparse.ArgumentParser(
        prog="sknet", description="Tools for Selective Kernel Networks."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for module in _MODULES:
        module.add_commands(commands)
    words = list(sys.argv[1:] if argv is None else argv)
    command = " ".join(words[:1])
    try:
        flags: list[str] = []
        if command == train.NAME:
            words[1:], flags = train.split_arguments(words[1:])
        arguments, unknown = parser.parse_known_args(
            words, argparse.Namespace(caffe_flags=flags)
        )
        command = arguments.command
        if unknown:
            _refuse(_parser_of(parser, command), unknown)
        refuse_several_processes(f"sknet {command}")
        return arguments.run(arguments) or 0
    except BrokenPipeError:
        # Whoever read the pipe that we write has gone.
        return 1
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        let_the_first_rank_speak()
        print(f"sknet {command}: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        say_interrupted(f"sknet {command}")
        return status_of(interrupt)
