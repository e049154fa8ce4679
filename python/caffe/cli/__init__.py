"""The entry points of `caffe`, `convert_imageset` and `compute_image_mean`.

They run `main` of `caffe.cli.commands` and of the modules named like the tools. Nothing
is imported here: see `caffe.cli.signals`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `caffe` with these arguments, or the process's; returns the exit status."""
    from caffe.cli.signals import run

    return run("caffe.cli.commands", argv)


def convert_imageset_main(argv: Sequence[str] | None = None) -> int:
    """Runs `convert_imageset` in the same way."""
    from caffe.cli.signals import run

    return run("caffe.cli.convert_imageset", argv)


def compute_image_mean_main(argv: Sequence[str] | None = None) -> int:
    """Runs `compute_image_mean` in the same way."""
    from caffe.cli.signals import run

    return run("caffe.cli.compute_image_mean", argv)
