"""The entry points of `caffe` and of those of its tools that are programs in Caffe.

They run `main` of `caffe.cli.commands` and of the tools' modules. Nothing is imported
here: see `caffe.cli.signals`.
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


def extract_features_main(argv: Sequence[str] | None = None) -> int:
    """Runs `extract_features` in the same way."""
    from caffe.cli.signals import run

    return run("caffe.cli.extract_features", argv)


def upgrade_net_proto_text_main(argv: Sequence[str] | None = None) -> int:
    """Runs `upgrade_net_proto_text` in the same way."""
    from caffe.cli.signals import run

    return run("caffe.cli.upgrade", argv, "net_text")


def upgrade_net_proto_binary_main(argv: Sequence[str] | None = None) -> int:
    """Runs `upgrade_net_proto_binary` in the same way."""
    from caffe.cli.signals import run

    return run("caffe.cli.upgrade", argv, "net_binary")


def upgrade_solver_proto_text_main(argv: Sequence[str] | None = None) -> int:
    """Runs `upgrade_solver_proto_text` in the same way."""
    from caffe.cli.signals import run

    return run("caffe.cli.upgrade", argv, "solver_text")
