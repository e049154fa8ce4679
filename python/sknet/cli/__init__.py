"""The entry point of `sknet`, which is in `sknet.cli.commands`.

Nothing else is imported here: see `caffe.cli.signals`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `sknet` with these arguments, or the process's; returns the exit status."""
    if argv is None:
        import _signal  # type: ignore[import-not-found]

        # Importing `caffe` takes some milliseconds, and nothing has begun yet.
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from caffe.cli.signals import run

    return run("sknet.cli.commands", argv)
