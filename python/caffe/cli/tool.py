"""What all commands share: flags of the log, error messages, exit statuses."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.signals import say_interrupted, status_of
from caffe.files import sentence

# Statuses: 0 fine, 1 it failed, 2 the command line is wrong, 128 + the signal that
# interrupted it.
FAILED = 1
USAGE = 2

LOG_FLAGS = (
    Flag("log_file", "", "Write the log into this file as well."),
    Flag(
        "log_dir",
        "",
        "Write the log into a file of this folder, named after the command.",
    ),
    Flag("minloglevel", 0, "Lowest severity to log: 0 info, 1 warning, 2 error."),
    Flag("v", 0, "Log details up to this level."),
)
# Scripts written for Caffe pass these; the log always goes to stderr.
_IGNORED_FLAGS = (
    Flag("logtostderr", False, "Has no effect."),
    Flag("alsologtostderr", False, "Has no effect."),
    Flag("colorlogtostderr", False, "Has no effect."),
    Flag("stderrthreshold", 0, "Has no effect."),
)
ALL_LOG_FLAGS = LOG_FLAGS + _IGNORED_FLAGS


def set_up_log(flags: Values, command: str) -> None:
    """Does what the log flags say."""
    if "v" in flags.given:
        # Read by the engine when it is loaded.
        os.environ["GLOG_v"] = str(flags.v)  # noqa: SIM112
    from caffe import _caffe

    if "minloglevel" in flags.given:
        _caffe.set_log_level(flags.minloglevel)
    log_file = flags.log_file
    if flags.log_dir and not log_file:
        log_file = str(Path(flags.log_dir) / f"{command.split()[0]}.INFO")
    if log_file:
        _caffe.set_log_file(log_file)


def log(message: str) -> None:
    """Prints a line of log."""
    from caffe import _caffe

    caller = sys._getframe(1)
    _caffe.log(message, 0, caller.f_code.co_filename, caller.f_lineno)


def load_plugins(files: str) -> None:
    """Loads a comma-separated list of plugins."""
    import caffe

    for file in filter(None, files.split(",")):
        log(f"Loaded {file}: {', '.join(caffe.load_plugin(file))}")


def require_file(path: str, what: str) -> None:
    """Complains about a file that is not there before any work is done."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what} '{path}' does not exist or is no file")


def guard(name: str, help_hint: str, action: Callable[[], int]) -> int:
    """Runs a command; errors become one sentence on stderr and an exit status."""
    try:
        return action()
    except UsageError as error:
        print(f"{name}: error: {error}\n{help_hint}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt as interrupt:
        say_interrupted(name)
        return status_of(interrupt)
    except BrokenPipeError:
        # Whoever read the pipe that we write has gone.
        return FAILED
    except Exception as error:
        if _is_ours(error):
            print(f"{name}: error: {sentence(error)}", file=sys.stderr)
        else:
            traceback.print_exc()
        return FAILED


def _is_ours(error: Exception) -> bool:
    """Whether a sentence is enough: the error did not come out of a user's Python."""
    if os.environ.get("CAFFE_TRACEBACK"):
        return False
    expected = (ValueError, OSError, RuntimeError, ImportError, MemoryError)
    if not isinstance(error, expected):
        return False
    trusted = [
        Path(__file__).parents[1],
        *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")),
    ]
    files = [
        Path(frame.filename)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
    ]
    return all(any(file.is_relative_to(home) for home in trusted) for file in files)
