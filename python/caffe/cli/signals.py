"""SIGINT, SIGTERM and SIGHUP end a command in order, whatever it is doing.

A command's entry point comes here before it imports anything else. Its imports are the
longest part of a start, and KeyboardInterrupt in the midst of one can leave half a
module behind, or be swallowed and printed. Here a signal becomes an exception as soon
as nothing of that kind is going on, and once only, so that what it sets off - a state
saved, a folder removed - is not interrupted again.

What Python does before the first line of a program is out of reach.
"""

from __future__ import annotations

# `signal` imports for milliseconds, in which the first signal could come.
import _signal  # type: ignore[import-not-found]
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

# Seconds until a signal that came at a bad moment is looked at again.
_RETRY = 0.01
# Code that must not be left by an exception: imports, and the callbacks of weak
# references and __del__, out of which Python prints what it cannot raise.
_IMPORTS = "<frozen importlib"
_CALLBACKS = ("weakref.py", "_weakrefset.py")

_arrived = 0  # the first signal
_raises = False  # whether one may become an exception now
_raised = False


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status of a command that was interrupted, as shells have it."""
    number = interrupt.number if isinstance(interrupt, Interrupted) else _signal.SIGINT
    return 128 + int(number)


def say_interrupted(name: str) -> None:
    """Tells that a command was interrupted, to a terminal that may be gone by now."""
    import contextlib

    with contextlib.suppress(OSError):
        print(f"{name}: interrupted", file=sys.stderr)


def run(module: str, argv: Sequence[str] | None, function: str = "main") -> int:
    """Runs `main`, or another function, of a command's module; returns the exit status.

    Without arguments of the caller's the process is the command's own, and so are its
    signals, of which it ignores those that it was started to ignore, as by nohup, and
    its standard output and error.
    """
    global _raises
    ours = []
    try:
        try:
            if argv is None:
                _raises = True
                for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
                    if _signal.getsignal(number) != _signal.SIG_IGN:
                        _signal.signal(number, _handle)
                        ours.append(number)
            import importlib

            def main() -> int:
                command = getattr(importlib.import_module(module), function)
                status: int = command(argv)
                return status

            if argv is not None:
                return main()
            from caffe.cli import output

            return output.run(main, sys.argv[0].rpartition("/")[2])
        finally:
            _raises = False
            if ours:
                _signal.setitimer(_signal.ITIMER_REAL, 0)
            # Nobody need wait for a process that only has to go.
            for number in ours:
                _signal.signal(number, _signal.SIG_DFL)
    except Interrupted as interrupt:
        # Before the command could catch it, or after.
        say_interrupted(sys.argv[0].rpartition("/")[2])
        return status_of(interrupt)
    except OSError:
        # The terminal that hung up takes no messages.
        if not _raised:
            raise
        return 128 + _arrived


def _handle(number: int, frame: FrameType | None) -> None:
    global _arrived, _raises, _raised
    if not _arrived:
        _arrived = number
    if not _raises:
        return
    if _is_delicate(frame):
        _signal.signal(_signal.SIGALRM, _handle)
        _signal.setitimer(_signal.ITIMER_REAL, _RETRY)
        return
    _raises = False
    _raised = True
    raise Interrupted(_arrived)


def _is_delicate(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if (
            code.co_filename.startswith(_IMPORTS)
            or code.co_filename.endswith(_CALLBACKS)
            or code.co_name == "__del__"
        ):
            return True
        frame = frame.f_back
    return False
