"""`caffe time`."""

from __future__ import annotations

import math

from caffe.cli.command import (
    GPU,
    ITERATIONS,
    LEVEL,
    MODEL,
    PLUGIN,
    PRECISION,
    STAGE,
    WEIGHTS,
    Command,
    load_net,
    split,
)
from caffe.cli.flags import Flag, Values
from caffe.cli.tool import log, refuse_several_processes
from caffe.cli.waiting import finishing
from caffe.proto.caffe_pb2 import TEST, TRAIN


def run(flags: Values) -> int:
    """Times a net: every layer forward and backward, and all of them together.

    On a GPU the device tells when the work of a layer began and ended there, and is
    waited for once in an iteration.

    With -schedule the net runs as `caffe train` (phase TRAIN) or `caffe test` (TEST)
    would run it, and the steps of that are printed first.
    """
    refuse_several_processes("caffe time")
    phase = TEST if flags.phase == "TEST" else TRAIN
    net = load_net(
        flags, phase, split(flags.weights), optimize=flags.schedule and phase == TEST
    )
    if flags.schedule:
        net.keep_blobs = False
        for line in str(net.schedule()).splitlines():
            log(line)
    last = len(net.layers) - 1
    # A first run allocates memory and is not counted.
    with finishing("caffe time", "the first iteration"):
        log("Performing Forward")
        log(f"Initial loss: {net._forward(0, last):g}")
        if not net.optimized:
            log("Performing Backward")
            net._backward(last, 0)
    log("*** Benchmark begins ***")
    if flags.gpu:
        log("Layers are timed by the GPU, from its own events.")
    log(f"Testing for {flags.iterations} iterations.")
    names = list(net.top_names)
    forward = [0.0] * len(names)
    backward = [0.0] * len(names)
    total = 0.0
    with finishing("caffe time", "this iteration"):
        for iteration in range(flags.iterations):
            run = net._engine.time_layers()
            forward = [a + b for a, b in zip(forward, run.forward_ms, strict=True)]
            backward = [a + b for a, b in zip(backward, run.backward_ms, strict=True)]
            total += run.total_ms
            ms = f"{run.total_ms:g} ms"
            log(f"Iteration: {iteration + 1} forward-backward time: {ms}.")
    log("Average time per layer: ")
    for name, forward_ms, backward_ms in zip(names, forward, backward, strict=True):
        times = _mean(forward_ms, flags.iterations, "done by the layer before")
        log(f"{name:>10}\tforward: {times}.")
        times = _mean(backward_ms, flags.iterations, "not needed")
        log(f"{name:>10}\tbackward: {times}.")
    measured = [ms for ms in backward if not math.isnan(ms)]
    forward_pass = sum(ms for ms in forward if not math.isnan(ms))
    log(f"Average Forward pass: {forward_pass / flags.iterations:g} ms.")
    if measured:
        log(f"Average Backward pass: {sum(measured) / flags.iterations:g} ms.")
    else:
        log(
            "Average Backward pass: not needed, since the net has no loss; add one, or "
            "`force_backward: true`, to time it."
        )
    log(f"Average Forward-Backward: {total / flags.iterations:g} ms.")
    log(f"Total Time: {total:g} ms.")
    log("*** Benchmark ends ***")
    return 0


def _mean(total_ms: float, iterations: int, otherwise: str) -> str:
    return otherwise if math.isnan(total_ms) else f"{total_ms / iterations:g} ms"


COMMAND = Command(
    "time",
    "time the layers of a net",
    (
        MODEL,
        WEIGHTS,
        ITERATIONS,
        Flag("phase", "TRAIN", "Phase of the net.", ("TRAIN", "TEST")),
        Flag("schedule", False, "Print and time the steps that train or test runs."),
        GPU,
        LEVEL,
        STAGE,
        PRECISION,
        PLUGIN,
    ),
    run,
)
