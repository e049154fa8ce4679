"""`caffe device_query`."""

from __future__ import annotations

import os
from pathlib import Path

from caffe.cli.command import GPU, Command, device_indices
from caffe.cli.flags import Values
from caffe.cli.tool import log

# What the engine's kernels are chosen by.
_INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def run(flags: Values) -> int:
    """Logs the properties of the processor, and of GPUs if they are asked for."""
    import caffe
    from caffe import _caffe

    log(f"Processor: {_processor()}")
    log(f"Number of cores: {len(os.sched_getaffinity(0))}")
    log(f"Instruction sets: {' '.join(_instruction_sets()) or 'none of interest'}")
    if not flags.gpu and not _caffe.has_gpu:
        log("This build has no GPU support.")
        return 0
    log(f"Querying GPUs {flags.gpu or 'all'}")
    indices = device_indices(flags.replace(gpu=flags.gpu or "all"))
    caffe.set_mode_gpu()  # says what is missing where there is no GPU
    for index in indices:
        caffe.set_device(index)
        _caffe.device_query()
    return 0


def _cpu_info(key: str) -> str:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _processor() -> str:
    return _cpu_info("model name") or os.uname().machine


def _instruction_sets() -> list[str]:
    flags = _cpu_info("flags").split()
    return [name for name in _INSTRUCTION_SETS if name in flags]


COMMAND = Command("device_query", "tell what nets would run on", (GPU,), run)
