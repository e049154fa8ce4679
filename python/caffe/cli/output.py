"""Standard output and error of a command, whatever they are connected to.

A reader that has gone, as `| head` does, or a disk that is full is no reason to lose
the work that a command has done or is about to do: it goes on, what it cannot print is
dropped, and of a full disk it tells at its end.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable

_FAILED = 1


class _Stream(io.FileIO):
    """A descriptor that takes everything.

    Attributes:
        problem: The first error.
    """

    problem: OSError | None = None

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            self.problem = self.problem or error
            return memoryview(data).nbytes  # type: ignore[arg-type]


def run(main: Callable[[], int], name: str) -> int:
    """Runs a command that owns the process; returns its exit status.

    Args:
        main: The command.
        name: What it calls itself in messages.
    """
    _occupy()
    output = _Stream(1, "w", closefd=False)
    sys.stdout = _text(output, sys.stdout)
    sys.stderr = _text(_Stream(2, "w", closefd=False), sys.stderr, line_buffering=True)
    try:
        status = main()
    except SystemExit as end:  # argparse: it has said why
        status = end.code if isinstance(end.code, int) else 0
    sys.stdout.flush()
    problem = output.problem
    if problem is None or problem.errno == errno.EPIPE:
        return status
    print(
        f"{name}: error: cannot write to the standard output: {problem.strerror}",
        file=sys.stderr,
    )
    return status or _FAILED


def _occupy() -> None:
    """Keeps files from getting the number of a standard stream that is closed.

    The log would go into them.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)


def _text(
    stream: _Stream, old: object, *, line_buffering: bool = False
) -> io.TextIOWrapper:
    # Names of files may be no text; a message about one is not worth a failure.
    errors = getattr(old, "errors", None) or "strict"
    return io.TextIOWrapper(
        io.BufferedWriter(stream),
        encoding=getattr(old, "encoding", None) or "utf-8",
        errors="backslashreplace" if errors == "strict" else errors,
        line_buffering=line_buffering or stream.isatty(),
    )
