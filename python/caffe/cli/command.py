"""What commands of `caffe` are made of, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.tool import launched, load_plugins, log, require_file

if TYPE_CHECKING:
    from caffe.net import Net

GPU = Flag(
    "gpu",
    "",
    "GPU to use, as an index; to train on several, a list of them, or 'all'. Under "
    "mpirun each process takes one of the list, or of its machine's with 'local'.",
)
MODEL = Flag("model", "", "Prototxt of the net.")
WEIGHTS = Flag("weights", "", "Caffemodels to fill the net with, separated by commas.")
ITERATIONS = Flag("iterations", 50, "Number of batches.")
LEVEL = Flag("level", 0, "Level for the layers' include and exclude rules.")
STAGE = Flag(
    "stage",
    "",
    "Stages for the layers' include and exclude rules, separated by commas.",
)
OPTIMIZE = Flag(
    "optimize",
    True,
    "Fuse layers for inference; -optimize=false runs them one by one.",
)
PRECISION = Flag(
    "precision",
    "",
    "Precision of the arithmetic; by default what the prototxt says, or float32. "
    "fp16 and tf32 are for GPUs.",
    ("float32", "bf16", "fp16", "tf32"),
)
PLUGIN = Flag("plugin", "", "Shared objects with layers, separated by commas.")


@dataclass(frozen=True)
class Command:
    """One command: its name, a line about it, its flags, and what runs it."""

    name: str
    summary: str
    flags: tuple[Flag, ...]
    run: Callable[[Values], int]


def split(text: str) -> list[str]:
    """The entries of a comma-separated list."""
    return [entry for entry in text.split(",") if entry]


def required(flags: Values, name: str, what: str) -> str:
    """The value of a flag that must be given."""
    value: str = getattr(flags, name)
    if not value:
        raise UsageError(f"flag -{name} is missing: {what}")
    return value


def device_indices(flags: Values) -> list[int]:
    """The GPUs that -gpu names; none if it was not given.

    Raises:
        UsageError: It is neither a list of indices nor `all` nor `local`.
        RuntimeError: This build has no GPU support, or the machine no GPU.
    """
    from caffe import _caffe

    named = split(flags.gpu)
    if not named:
        return []
    if not _caffe.has_gpu:
        raise RuntimeError(
            f"flag -gpu asks for GPU {flags.gpu}, but this build has no GPU support; "
            "leave the flag out to run on the CPU"
        )
    if named in (["all"], ["local"]):
        count = _caffe.device_count()
        # With none, the first: to select it says what is missing.
        return list(range(count)) or [0]
    for name in named:
        if not name.isdigit():
            raise UsageError(
                f"flag -gpu: got '{name}', expected an index, a list of indices with "
                "commas between, 'all' or 'local'"
            )
    if len(set(named)) < len(named):
        raise UsageError(f"flag -gpu: got '{flags.gpu}', which names one GPU twice")
    return [int(name) for name in named]


def use_device(flags: Values) -> None:
    """Selects the processor, or the GPU that -gpu names.

    Of several, a process that mpirun started takes the one with its number on the
    machine; alone it needs no more than one.
    """
    import caffe

    gpus = device_indices(flags)
    if not gpus:
        log("Use CPU.")
        caffe.set_mode_cpu()
        return
    if launched("SIZE") <= 1 and len(gpus) > 1 and flags.gpu not in ("all", "local"):
        raise NotImplementedError(
            f"-gpu {flags.gpu}: got {len(gpus)} GPUs, expected one: only `caffe train` "
            "works on several"
        )
    gpu = gpus[launched("LOCAL_RANK") % len(gpus)]
    log(f"Use GPU with device ID {gpu}")
    caffe.set_device(gpu)
    caffe.set_mode_gpu()


def load_net(
    flags: Values, phase: int, weights: Sequence[str], *, optimize: bool = False
) -> Net:
    """The net of -model, with the plugins and on the device that the flags name."""
    import caffe

    model = required(flags, "model", "the prototxt of the net")
    if flags.iterations < 1:
        raise UsageError(
            f"flag -iterations: got {flags.iterations}, expected 1 or more"
        )
    load_plugins(flags.plugin)
    use_device(flags)
    for file in (model, *weights):
        require_file(file, "file")
    net = caffe.Net(
        model,
        phase,
        level=flags.level,
        stages=split(flags.stage),
        weights=list(weights),
        optimize=optimize,
    )
    if flags.precision:
        net.precision = flags.precision
    return net
