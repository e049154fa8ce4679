"""The engine as Python objects: settings, `Blob`, and the base of Python layers.

Nets are in `caffe.net`, solvers in `caffe.solver`; everything is re-exported here and
in `caffe` itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from caffe import _arguments, _caffe
from caffe._caffe import (
    Blob,
    Timer,
    layer_type_list,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from caffe._log import init_log, log, quiet
from caffe.net import Net, read_net
from caffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)

__version__ = _caffe.version

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "Layer",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "Timer",
    "__version__",
    "db_entries",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "load_plugin",
    "log",
    "quiet",
    "read_net",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]


class Layer:
    """Base of layers written in Python (`type: "Python"` in a prototxt).

    A net imports `python_param.module`, makes an object of the class
    `python_param.layer` and calls its methods. The module is found as by any import;
    loading a prototxt therefore runs code, so use only files that you trust.

        class Double(caffe.Layer):
            def reshape(self, bottom, top):
                top[0].reshape(*bottom[0].shape)

            def forward(self, bottom, top):
                top[0].data[...] = 2 * bottom[0].data

            def backward(self, top, propagate_down, bottom):
                if propagate_down[0]:
                    bottom[0].diff[...] = 2 * top[0].diff

    Attributes:
        name: Name of the layer.
        param_str: The text of `python_param.param_str`.
        phase: `caffe.TRAIN` or `caffe.TEST`.
        blobs: Learned arrays; `setup` adds them with `self.blobs.add_blob(*shape)` and
            `backward` adds to their `diff`.
        works_in_place: Whether a bottom may be a top as well, such as
            `bottom: "x" top: "x"`: the class says `works_in_place = True`, and its
            `backward` does without the bottom that `forward` has written over.
    """

    name: str
    param_str: str
    phase: int
    blobs: _caffe.BlobVec
    works_in_place: bool = False
    type = "Python"

    def __init__(self, param: Any = None, *args: Any) -> None:
        """Takes the LayerParameter; the attributes but `blobs` are set already."""

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Reads parameters and adds blobs; called once."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Gives the tops their shapes; called before every forward."""
        raise NotImplementedError(f"{type(self).__name__} has no method 'reshape'")

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Computes the tops' data."""
        raise NotImplementedError(f"{type(self).__name__} has no method 'forward'")

    def backward(
        self,
        top: Sequence[Blob],
        propagate_down: Sequence[bool],
        bottom: Sequence[Blob],
    ) -> None:
        """Computes the diffs of those bottoms that `propagate_down` marks."""
        raise NotImplementedError(f"{type(self).__name__} has no method 'backward'")


def load_plugin(path: str | os.PathLike[str]) -> list[str]:
    """Loads layers and solvers from a shared object that registers them.

    Returns:
        The names of the types it added. `caffe build-plugin` makes such files.

    Raises:
        OSError: The file is missing or was built against another version.
        ValueError: It registers nothing, or a name that is taken.
    """
    return _caffe.load_plugin(_arguments.path(path, "load_plugin", "path"))


def db_entries(source: str | os.PathLike[str], backend: str = "lmdb") -> int:
    """Number of entries of a database, which data layers count their images by.

    Args:
        source: Its folder, as in `data_param.source`.
        backend: "lmdb" or "leveldb", or in capitals as in a prototxt. All of a LevelDB
            is read to count it.

    Raises:
        OSError: It is missing, damaged or of the other kind.
        ValueError: Another backend.
        NotImplementedError: This build has no LevelDB.
    """
    folder = _arguments.path(source, "db_entries", "source")
    return _caffe.db_entries(folder, str(backend).lower())


def has_nccl() -> bool:
    """Whether this build has NCCL, which sums gradients between GPUs."""
    return _caffe.has_nccl


class NCCL:
    """An error for scripts that name it: processes train together by themselves.

    The solvers of processes that mpirun starts find each other, and sum their gradients
    through NCCL where `has_nccl()`.
    """

    _MISSING = (
        "caffe.NCCL: solvers of one training find each other without it, and use NCCL "
        "where the build has it; start the script in a process for each of them, as "
        "`mpirun -n 2 python train.py`"
    )

    def __init__(self, solver: Solver, uid: bytes = b"") -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError(self._MISSING)

    @classmethod
    def new_uid(cls) -> bytes:
        """Raises NotImplementedError."""
        raise NotImplementedError(cls._MISSING)


_caffe.load_plugins_from_environment()
