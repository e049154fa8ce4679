"""What commands of `caffe` are made of, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.tool import load_plugins, log, require_file

if TYPE_CHECKING:
    from caffe.net import Net

GPU = Flag("gpu", "", "GPU to use, as an index.")
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
    "Precision of the arithmetic; by default what the prototxt says, or float32.",
    ("float32", "bf16"),
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


def device_index(text: str) -> int:
    """The index of one GPU; 'all' means the first."""
    if text != "all" and not text.isdigit():
        raise UsageError(f"flag -gpu: got '{text}', expected an index")
    return 0 if text == "all" else int(text)


def use_device(flags: Values) -> None:
    """Selects the processor, or the GPU that -gpu names."""
    import caffe
    from caffe import _caffe

    gpus = split(flags.gpu)
    if not gpus:
        log("Use CPU.")
        caffe.set_mode_cpu()
        return
    if not _caffe.has_gpu:
        raise RuntimeError(
            f"flag -gpu asks for GPU {flags.gpu}, but this build has no GPU support; "
            "leave the flag out to run on the CPU"
        )
    if len(gpus) > 1:
        raise NotImplementedError(
            f"-gpu {flags.gpu}: got {len(gpus)} GPUs, expected one; several at a time "
            "are not supported"
        )
    log(f"Use GPU with device ID {device_index(gpus[0])}")
    caffe.set_device(device_index(gpus[0]))
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
