"""The entry point of `sknet`, which is in `sknet.cli.commands`.

Nothing is imported here: see `caffe.cli.signals`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `sknet` with these arguments, or the process's; returns the exit status."""
    from caffe.cli.signals import run

    return run("sknet.cli.commands", argv)
