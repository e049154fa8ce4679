"""The engine's log: lines of one's own, and how much is printed.

The engine is loaded when the first function is called.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Sets the lowest severity printed: 0 info, 1 warning, 2 error.

    `stderr` is accepted for Caffe's sake: lines always go there.
    """
    from caffe import _caffe

    _caffe.set_log_level(level)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the log to warnings, such as while a net is built.

        with caffe.quiet():
            net = caffe.Net("net.prototxt", caffe.TEST)

    The level that it found holds again behind it, and within it where that prints
    less. It is one for all threads.
    """
    from caffe import _caffe

    found = _caffe.set_log_level(1)
    if found > 1:
        _caffe.set_log_level(found)
    try:
        yield
    finally:
        _caffe.set_log_level(found)


def log(message: str, severity: int = 0) -> None:
    """Prints a line in the format of the engine's own, with the caller's position.

    Args:
        message: The line.
        severity: 0 info, 1 warning, 2 error.

    Raises:
        ValueError: Another severity.
    """
    from caffe import _caffe

    caller = sys._getframe(1)
    _caffe.log(message, severity, caller.f_code.co_filename, caller.f_lineno)
