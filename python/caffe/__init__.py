"""pycaffe: nets, solvers and file formats of Caffe from Python.

Everything is loaded when a name that needs it is first used: nets can be written
(`NetSpec`, `layers`, `params`, `caffe.proto.caffe_pb2`) where the compiled engine is
missing, and the commands take signals in hand before anything is (`caffe.cli.signals`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from caffe import (
        classifier,
        coord_map,
        detector,
        draw,
        io,
        net_spec,
        proto,
        pycaffe,
    )
    from caffe.classifier import Classifier
    from caffe.detector import Detector
    from caffe.net_spec import NetSpec, layers, params, to_proto
    from caffe.proto.caffe_pb2 import TEST, TRAIN, SolverParameter
    from caffe.pycaffe import (
        NCCL,
        AdaDeltaSolver,
        AdaGradSolver,
        AdamSolver,
        Blob,
        Layer,
        NesterovSolver,
        Net,
        RMSPropSolver,
        SGDSolver,
        Solver,
        Timer,
        __version__,
        db_entries,
        get_solver,
        has_nccl,
        init_log,
        layer_type_list,
        load_plugin,
        log,
        quiet,
        read_net,
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

_SUBMODULES = (
    "_caffe",
    "classifier",
    "coord_map",
    "detector",
    "draw",
    "io",
    "net_spec",
    "proto",
    "pycaffe",
)
# Where names are that are not of the engine.
_HOMES = {
    "Classifier": "caffe.classifier",
    "Detector": "caffe.detector",
    **dict.fromkeys(("NetSpec", "layers", "params", "to_proto"), "caffe.net_spec"),
    **dict.fromkeys(("TEST", "TRAIN", "SolverParameter"), "caffe.proto.caffe_pb2"),
}

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "SolverParameter",
    "Timer",
    "__version__",
    "classifier",
    "coord_map",
    "db_entries",
    "detector",
    "draw",
    "get_solver",
    "has_nccl",
    "init_log",
    "io",
    "layer_type_list",
    "layers",
    "load_plugin",
    "log",
    "net_spec",
    "params",
    "proto",
    "pycaffe",
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
    "to_proto",
]


# Type checkers would take any name for one that this finds.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Loads the module that has the name."""
        known = (*__all__, *_SUBMODULES)
        if name not in known:
            from caffe.closest import closest

            close = None if name.startswith("_") else closest(name, known)
            raise AttributeError(
                f"module 'caffe' has no attribute '{name}'"
                + (f"; the closest is '{close}'" if close else "")
            )
        if name in _SUBMODULES:
            return _import(f"caffe.{name}")
        value = getattr(_import(_HOMES.get(name, "caffe.pycaffe")), name)
        globals()[name] = value
        return value


def _import(module: str) -> Any:
    import importlib.util

    try:
        return importlib.import_module(module)
    except ImportError as error:
        if importlib.util.find_spec("caffe._caffe") is not None:
            cure = _missing_cuda(str(error))
            if cure:
                raise ImportError(cure) from error
            raise
        raise ImportError(
            f"{module} needs the compiled engine, which is not in {__path__[0]}; build "
            "it with `pip install .`"
        ) from error


def _missing_cuda(complaint: str) -> str:
    """What to say where the loader lacks one of NVIDIA's libraries; else nothing.

    Such as: libcudnn.so.9: cannot open shared object file: No such file or directory
    """
    library, _, reason = complaint.partition(": ")
    name = library.partition(".so")[0].removeprefix("lib")
    packages = {
        "cublas": "nvidia-cublas",
        "cublasLt": "nvidia-cublas",
        "cudart": "nvidia-cuda-runtime",
        "cudnn": "nvidia-cudnn-cu13",
        "curand": "nvidia-curand",
        "nccl": "nvidia-nccl-cu13",
    }
    if name not in packages or "cannot open" not in reason:
        return ""
    return (
        f"caffe was built for GPUs and needs {library}, which the loader does not "
        f"find; run `pip install {packages[name]}` (all of them: `pip install "
        "'.[cuda]'` in the source folder), or name its folder in LD_LIBRARY_PATH"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
