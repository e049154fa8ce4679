"""The `caffe` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from caffe.cli import (
    build_plugin,
    classify,
    compute_image_mean,
    convert_imageset,
    detect,
    device_query,
    draw_net,
    extract_features,
    parse_log,
    plot_training_log,
    resize_and_crop_images,
    summarize,
    test,
    timing,
    train,
    upgrade,
)
from caffe.cli.command import Command
from caffe.cli.flags import Flag, UsageError, describe, parse
from caffe.cli.program import Program
from caffe.cli.tool import ALL_LOG_FLAGS, LOG_FLAGS, guard, set_up_log
from caffe.closest import closest

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        train.COMMAND,
        test.COMMAND,
        timing.COMMAND,
        device_query.COMMAND,
    )
}
PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        convert_imageset.PROGRAM,
        compute_image_mean.PROGRAM,
        resize_and_crop_images.PROGRAM,
        extract_features.PROGRAM,
        classify.PROGRAM,
        detect.PROGRAM,
        parse_log.PROGRAM,
        plot_training_log.PROGRAM,
        summarize.PROGRAM,
        draw_net.PROGRAM,
        *upgrade.PROGRAMS,
    )
}
_NAMES = (*COMMANDS, *PROGRAMS, build_plugin.NAME)
_HELP = Flag("help", False, "Show this text.")
_VERSION = Flag("version", False, "Show the version.")
_HINT = "See `caffe help`."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = [word for word in arguments[:1] if word in _NAMES]
    return guard(" ".join(["caffe", *command]), _HINT, lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    # They have flags of their own, and so has the compiler.
    if arguments[:1] == [build_plugin.NAME]:
        return build_plugin.run(arguments[1:])
    if arguments and arguments[0] in PROGRAMS:
        program = PROGRAMS[arguments[0]]
        return program.start(arguments[1:], f"caffe {program.name}")
    # As with gflags every command knows all flags, and they may stand before it.
    known = {flag.name: flag for cmd in COMMANDS.values() for flag in cmd.flags}
    flags, words, rest = parse(
        arguments, (*known.values(), *ALL_LOG_FLAGS, _HELP, _VERSION)
    )
    words += rest
    if flags.version:
        from caffe.pycaffe import __version__

        print(f"caffe {__version__}")
        return 0
    is_help = flags.help or words[:1] == ["help"]
    while words[:1] == ["help"]:
        words = words[1:]
    if is_help and not words:
        print(_overview())
        return 0
    if not words:
        raise UsageError("no command given")
    if words[0] not in _NAMES:
        raise UsageError(_unknown(words[0]))
    if len(words) != 1:
        raise UsageError(f"got '{' '.join(words)}', expected one command")
    if is_help:
        print(_help(words[0]))
        return 0
    if words[0] not in COMMANDS:
        raise UsageError(f"the flags of {words[0]} stand behind its name")
    command = COMMANDS[words[0]]
    set_up_log(flags, "caffe")
    own = {flag.name for flag in (*command.flags, *ALL_LOG_FLAGS)}
    for name in sorted(flags.given - own):
        print(f"caffe {command.name}: note: -{name} has no effect", file=sys.stderr)
    return command.run(flags)


def _unknown(word: str) -> str:
    close = closest(word, _NAMES)
    end = f"; the closest is '{close}'" if close else ""
    return f"unknown command '{word}', expected one of {', '.join(_NAMES)}{end}"


def _help(name: str) -> str:
    if name == build_plugin.NAME:
        return build_plugin.USAGE
    if name in PROGRAMS:
        return PROGRAMS[name].usage(f"caffe {name}")
    command = COMMANDS[name]
    return (
        f"usage: caffe {command.name} [flags]\n\n{command.summary}\n\n"
        f"{describe(command.flags)}\n\nlog:\n{describe(LOG_FLAGS)}"
    )


def _overview() -> str:
    summaries = {name: command.summary for name, command in COMMANDS.items()}
    summaries |= {name: program.summary for name, program in PROGRAMS.items()}
    summaries[build_plugin.NAME] = build_plugin.SUMMARY
    summaries["help"] = "show this text, or the flags of `caffe help COMMAND`"
    lines = [f"  {name:27}{summary}" for name, summary in summaries.items()]
    return "\n".join(
        [
            "usage: caffe COMMAND [flags]",
            "",
            *lines,
            "",
            "Flags are spelled as with gflags: -solver FILE or --solver=FILE.",
            "`caffe --version` shows the version. -plugin a.so,b.so, or CAFFE_PLUGINS=",
            "a.so:b.so in the environment, load layers from shared objects.",
        ]
    )
