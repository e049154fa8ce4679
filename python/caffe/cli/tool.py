"""What all commands share: flags of the log, error messages, exit statuses."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from caffe._log import log as log  # for all commands
from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.signals import say_interrupted, status_of
from caffe.files import sentence

# Statuses: 0 fine, 1 it failed, 2 the command line is wrong, 128 + the signal that
# interrupted it.
FAILED = 1
USAGE = 2

# Seconds that rank 0 gets to fail like another rank.
_PATIENCE = 5.0

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

    # Unlike pycaffe, the commands log all that Caffe's do.
    if "minloglevel" in flags.given or "GLOG_minloglevel" not in os.environ:
        _caffe.set_log_level(flags.minloglevel)
    log_file = flags.log_file
    if flags.log_dir and not log_file:
        log_file = str(Path(flags.log_dir) / f"{command.split()[0]}.INFO")
    if log_file:
        _caffe.set_log_file(log_file)


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
        let_the_first_rank_speak()
        print(f"{name}: error: {error}\n{help_hint}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt as interrupt:
        say_interrupted(name)
        return status_of(interrupt)
    except BrokenPipeError:
        # Whoever read the pipe that we write has gone.
        return FAILED
    except Exception as error:
        let_the_first_rank_speak()
        if _is_ours(error):
            print(f"{name}: error: {sentence(error)}", file=sys.stderr)
        else:
            traceback.print_exc()
        return FAILED


def launched(what: str) -> int:
    """What mpirun tells of this process: its "RANK", "LOCAL_RANK" or the "SIZE".

    The local rank counts the processes on the same machine. 0 in a process that mpirun
    did not start.
    """
    # Open MPI's launcher; those of MPICH, Intel MPI and MVAPICH.
    names = [f"OMPI_COMM_WORLD_{what}", f"PMI_{what}"]
    if what == "LOCAL_RANK":
        names += ["MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK"]
    for variable in names:
        if (text := os.environ.get(variable, "")).isdigit():
            return int(text)
    return 0


def start_processes(count: int) -> NoReturn:
    """Becomes mpirun, with this command in `count` processes on this machine.

    Raises:
        RuntimeError: There is no mpirun.
    """
    launcher = shutil.which("mpirun")
    if not launcher:
        raise RuntimeError(
            f"training on {count} GPUs takes {count} processes, and there is no mpirun "
            "on the PATH to start them; install Open MPI (apt-get install openmpi-bin "
            "libopenmpi-dev, then build caffe again), or name one GPU"
        )
    command = [launcher, "-n", str(count), sys.executable, "-m", "caffe.cli"]
    # Open MPI wants to be told that root means it, as in a container.
    allowed = {
        f"OMPI_ALLOW_RUN_AS_ROOT{confirmed}": "1" for confirmed in ("", "_CONFIRM")
    }
    # It would give a process a core, and reading images ahead takes several. The names
    # are those of its versions 4 and 5.
    unbound = {
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "PRTE_MCA_hwloc_default_binding_policy": "none",
    }
    environment = os.environ | allowed | unbound
    os.execve(launcher, [*command, *sys.argv[1:]], environment)


def refuse_several_processes(name: str) -> None:
    """Complains if mpirun started more than one process, which would do the same."""
    if (size := launched("SIZE")) > 1:
        raise RuntimeError(
            f"this is one of {size} processes that mpirun started, and {name} works in "
            "one, on all processors; run it without mpirun"
        )


def let_the_first_rank_speak() -> None:
    """Waits a moment in the other ranks: what is wrong is mostly so in all of them.

    Rank 0 then says it, and its end is that of the others, who are silent.
    """
    if launched("RANK") == 0:
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    time.sleep(_PATIENCE)


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
